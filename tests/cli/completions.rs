//! What the shells complete: the answers to their scripts, and the scripts in their shells.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[cfg(unix)]
use crate::support::Terminal;
use crate::support::{CALL, Home, Reply, Run, Running, Server, call};

/// The candidates for the last of these words, without what is said of them.
fn candidates(command: &mut Command, shell: &str, words: &[&str]) -> Vec<String> {
    let run = Run::of(command.args(["--complete", shell, "--"]).args(words)).exits(0);
    assert_eq!(run.stderr, "");
    let text = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    run.stdout.lines().map(text).collect()
}

fn completed(words: &[&str]) -> Vec<String> {
    candidates(&mut Home::new().kallyai([""; 0]), "zsh", words)
}

#[test]
fn the_flags_of_the_chosen_command_come_first_and_no_other_commands() {
    let history = completed(&["--history", ""]);
    assert_eq!(history[..3], ["--limit", "--offset", "--all"]);
    let at = |flag: &str| history.iter().position(|offered| offered == flag).expect(flag);
    assert!(at("--status") < at("--json"), "{history:?}");
    for other in ["--usage", "--history", "--party-size", "--output"] {
        assert!(!history.contains(&other.into()), "{other}: {history:?}");
    }
    let call = completed(&["-t", "Ask", ""]);
    assert_eq!(call[..2], ["--phone", "--category"], "{call:?}");
    assert!(completed(&["--calendar", "last", "-"]).starts_with(&["--output".into()]));
    let begun = completed(&["--instruction", "a", "-p", "+1", "--urgent", "--"]);
    assert!(begun.contains(&"--instruction".into()) && !begun.contains(&"--urgent".into()), "{begun:?}");
    assert_eq!(completed(&[""])[0], "--phone");
    assert_eq!(completed(&["--hist"]), ["--history"]);
}

#[test]
fn values_are_offered_where_they_are_known_and_nothing_where_not() {
    for (words, offered) in [
        (&["-c", ""][..], &["restaurant", "clinic", "hotel", "general"][..]),
        (&["--category=H"], &["--category=hotel"]),
        (&["-l", ""], &["en", "es"]),
        (&["--history", "--status", "v"], &["voicemail"]),
        (&["--timezone", "europe/madr"], &["Europe/Madrid"]),
        (&["--date", "to"], &["today", "tomorrow"]),
        (&["--completions", "f"], &["fish"]),
        (&["--history", "--since", "y"], &["yesterday"]),
        (&["--api", "/v1/calls", "--method", "p"], &["POST", "PUT", "PATCH"]),
        (&["--calendar", "last", "-o", ""], &[":files"]),
        (&["--phone", ""], &[]),
        (&["--task", ""], &[]),
        (&["--name", "C"], &[]),
        (&["--limit", ""], &[]),
        (&["usage"], &[]),
        (&["--nonsense", "x"], &[]),
        (&["--call-info", "l"], &["last"]),
    ] {
        assert_eq!(completed(words), offered, "{words:?}");
    }
    // bash takes the equals sign for a word of its own.
    let words = ["--category", "=", "h"];
    assert_eq!(candidates(&mut Home::new().kallyai([""; 0]), "bash", &words), ["hotel"]);
}

#[test]
fn a_task_is_completed_with_files_behind_its_at_sign() {
    let home = Home::new();
    std::fs::write(home.path("task.txt"), "x").expect("a file");
    std::fs::write(home.path("$(touch pwned)"), "x").expect("a file");
    let mut command = home.kallyai([""; 0]);
    assert_eq!(candidates(command.current_dir(home.path("")), "fish", &["-t", "@"]), ["@task.txt"]);
}

/// A server with two calls.
fn service() -> Server {
    let mut second = call("22222222-55aa-4bbb-8ccc-0123456789ab", "no_answer");
    second["highlights"] = json!("Nobody\n\tanswered\u{1b}[2J.");
    let hostile = call("$(touch pwned)", "success");
    let calls = json!({ "calls": [call("11111111-55aa-4bbb-8ccc-0123456789ab", "success"), second, hostile], "total": 3 });
    Server::always(Reply::json(200, &calls))
}

#[test]
fn recent_calls_are_offered_with_what_came_of_them() {
    let home = Home::new();
    let server = service();
    let run = Run::of(&mut home.at(&server, ["--complete", "zsh", "--", "--transcript", ""])).exits(0);
    assert_eq!(
        run.stdout,
        "last\tthe newest: success, +15551234567, A table for four is…\n\
         11111111-55aa-4bbb-8ccc-0123456789ab\tsuccess, +15551234567, A table for four is booked.\n\
         22222222-55aa-4bbb-8ccc-0123456789ab\tno_answer, +15551234567, Nobody  answered.\n"
    );
    let sent: Vec<String> = server.requests().iter().map(|request| request.line()).collect();
    assert_eq!(sent, ["GET /v1/calls?limit=20"]);
    assert_eq!(candidates(&mut home.at(&server, [""; 0]), "bash", &["--call-info", "2"]).len(), 1);
}

#[test]
fn nothing_is_asked_of_the_service_without_a_login_that_holds() {
    let home = Home::new();
    let server = service();
    home.sign_in(-10);
    assert_eq!(candidates(&mut home.at(&server, [""; 0]), "bash", &["--call-info", ""]), ["last"]);
    std::fs::remove_file(home.token_file()).expect("the login is gone");
    let mut command = home.kallyai([""; 0]);
    command.env("KALLYAI_API_URL", server.url()).env("KALLYAI_TOKEN_FILE", home.token_file());
    assert_eq!(candidates(&mut command, "bash", &["--call-info", ""]), ["last"]);
    assert!(server.requests().is_empty());
    assert!(!home.path(".local").exists() && !home.state().exists(), "nothing is left behind");
}

#[test]
fn a_service_that_is_slow_is_not_waited_for() {
    let home = Home::new();
    let server = Server::always(Reply::Stall);
    let begun = Instant::now();
    assert_eq!(candidates(&mut home.at(&server, [""; 0]), "bash", &["--call-info", ""]), ["last"]);
    // 300 ms, and what a busy machine needs to start a program.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn pending_calls_are_offered_to_be_resumed() {
    let home = Home::new();
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Reply::CutBeforeStatus,
        _ => Reply::json(200, &json!({ "calls": [], "total": 0 })),
    });
    Run::of(home.at(&server, CALL).args(["--timeout", "2", "--idempotency-key", "dinner"])).exits(6);
    Run::of(
        &mut home
            .at(&server, ["-p", "+15557654321", "-t", "Ask", "--timeout", "2", "--idempotency-key", "a'b"]),
    )
    .exits(6);
    assert_eq!(candidates(&mut home.at(&server, [""; 0]), "bash", &["--resume", ""]), ["dinner"]);
}

/// A shell of this name, if there is one.
#[cfg(unix)]
fn shell(home: &Home, name: &str) -> Option<Command> {
    let folders = ["/bin", "/usr/bin", "/usr/local/bin"];
    let program = folders
        .iter()
        .map(|folder| format!("{folder}/{name}"))
        .find(|path| std::path::Path::new(path).exists())?;
    let ours = home.kallyai([""; 0]);
    let folder = std::path::Path::new(ours.get_program()).parent().expect("a folder");
    let mut shell = Command::new(program);
    shell.env_clear().envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display()));
    shell.current_dir(home.path("")).stdin(Stdio::null());
    Some(shell)
}

/// Writes a shell's script into the home, and a file that no flag but `--output` should offer.
#[cfg(unix)]
fn installed(home: &Home, shell: &str) {
    let script = Run::of(&mut home.kallyai(["--completions", shell])).exits(0).stdout;
    std::fs::write(home.path("script"), script).expect("a script");
    std::fs::write(home.path("dinner.ics"), "x").expect("a file");
}

#[cfg(unix)]
#[test]
fn bash_completes_what_the_program_answers() {
    let home = Home::new();
    let Some(_) = shell(&home, "bash") else { return };
    installed(&home, "bash");
    let reply = |words: &[&str]| {
        let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let (last, before) = words.split_last().expect("a word");
        let previous = before.last().expect("a word before");
        let script = format!(
            "source ./script; complete -p kallyai >/dev/null || exit 9; COMP_WORDS=({line}); COMP_CWORD={}; \
             _kallyai kallyai '{last}' '{previous}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            before.len()
        );
        let run = Running::start(shell(&home, "bash").expect("a shell").args(["-c", &script])).end().exits(0);
        run.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(reply(&["kallyai", "--hist"]), ["--history"]);
    assert_eq!(reply(&["kallyai", "-c", "h"]), ["hotel"]);
    assert_eq!(reply(&["kallyai", "--calendar", "last", "-o", ""]), ["dinner.ics", "script"]);
    assert_eq!(reply(&["kallyai", "--name", ""]), [""], "no files");
}

#[cfg(unix)]
#[test]
fn fish_completes_what_the_program_answers() {
    let home = Home::new();
    let Some(_) = shell(&home, "fish") else { return };
    installed(&home, "fish");
    let reply = |line: &str| {
        let script = format!("source ./script; complete -C '{line}'");
        Running::start(shell(&home, "fish").expect("a shell").args(["-c", &script])).end().exits(0).stdout
    };
    assert_eq!(reply("kallyai --hist"), "--history\tRecent calls\n");
    assert_eq!(reply("kallyai -c h"), "hotel\n");
    assert!(reply("kallyai --calendar last -o din").contains("dinner.ics"));
    assert_eq!(reply("kallyai --name "), "", "no files");
}

#[cfg(unix)]
#[test]
fn zsh_completes_at_the_press_of_tab() {
    let home = Home::new();
    let Some(mut zsh) = shell(&home, "zsh") else { return };
    installed(&home, "zsh");
    std::fs::create_dir(home.path("functions")).expect("a folder");
    std::fs::rename(home.path("script"), home.path("functions/_kallyai")).expect("a script in its place");
    let settings = "PS1='ready> '\nfpath=(~/functions $fpath)\nautoload -Uz compinit\ncompinit -u -D\n";
    std::fs::write(home.path(".zshrc"), settings).expect("settings");
    zsh.arg("-i");
    let mut terminal = Terminal::start(zsh);
    terminal.shows("ready> ");
    terminal.types(b"kallyai --hist\t--stat\tno_\t\x01echo ANSWER: \r");
    terminal.shows("\nANSWER: kallyai --history --status no_answer\r\n");
}

#[test]
fn completing_never_fails() {
    let home = Home::new();
    for words in
        [&[][..], &["bash"], &["bash", "--"], &["bash", "--", "-\u{e9}", "=", "="], &["x", "y", "--resume"]]
    {
        let run =
            Run::of(home.kallyai(["--complete"]).args(words).env("KALLYAI_CONFIG", "/missing")).exits(0);
        assert_eq!(run.stderr, "", "{words:?}");
    }
    let asked: Value = json!(Run::of(&mut home.kallyai(["--help"])).exits(0).stdout.contains("--complete "));
    assert_eq!(asked, json!(false));
}
