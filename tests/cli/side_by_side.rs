//! The same command lines under kallyai-cli 1.0.0, from PyPI, and under this program: what arrives at the service is the
//! same. Where there is no Python, no pip or no network, this says so and is skipped.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Home, Reply, Request, Run, Server, TOKEN, call};

const ID: &str = "3f2a0c1e-55aa-4bbb-8ccc-000000000001";

/// kallyai-cli has no setting for the address of the service, and 1.0.0 cannot place a call at all: it hands httpx the
/// argument `headers` twice, a TypeError. Both are mended from outside; what it sends is its own.
const OLD_MAIN: &str = "
import functools, sys, httpx, kallyai_cli

request, client = kallyai_cli.api_request, httpx.Client

def api_request(method, endpoint, token, headers={}, **rest):
    httpx.Client = functools.partial(client, headers=headers)
    return request(method, endpoint, token, **rest)

kallyai_cli.API_BASE = sys.argv.pop(1)
kallyai_cli.api_request = api_request
kallyai_cli.main()
";

/// Says why the tests of this file show nothing, past the capturing of a test's output.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "\nskipped, side by side with kallyai-cli: {why}");
}

/// The folder that kallyai-cli 1.0.0 is imported from, installed once into the build's folder.
fn old_program() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kallyai-cli-1.0.0");
    if !folder.is_dir() {
        // Renamed when it is whole, as others may install it at the same time.
        let aside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]);
        pip.args(["--retries", "0", "--timeout", "10", "kallyai-cli==1.0.0", "--target"]).arg(aside.path());
        match pip.stdin(Stdio::null()).output() {
            Err(error) => {
                skipped(&format!("python3 does not start: {error}"));
                return None;
            }
            Ok(output) if !output.status.success() => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                skipped(said.lines().last().unwrap_or("pip failed"));
                return None;
            }
            Ok(_) => {}
        }
        if std::fs::rename(aside.path(), &folder).is_err() {
            assert!(folder.is_dir(), "somebody else installed it");
        }
    }
    Some(folder)
}

/// Both programs, with a home each and the same login.
struct Both {
    program: PathBuf,
    old: Home,
    new: Home,
}

impl Both {
    fn new() -> Option<Self> {
        Some(Self { program: old_program()?, old: Home::new(), new: Home::new() })
    }

    /// The old program's command line, for the service at this address.
    fn old(&self, url: &str, args: &[&str]) -> Command {
        let mut command = Command::new("python3");
        command.args(["-c", OLD_MAIN, url]).args(args).env_clear();
        for (name, value) in [("PYTHONPATH", self.program.as_path()), ("HOME", &self.old.path(""))] {
            command.env(name, value);
        }
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        // It opens the billing portal: with what does nothing.
        command.env("BROWSER", "true").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// What each sends for the same command line, old first.
    fn sent(&self, args: &[&str]) -> [Vec<Request>; 2] {
        let old = Server::start(answer);
        self.old.sign_in(3600);
        std::fs::rename(self.old.token_file(), self.old.path(".kallyai_token.json")).expect("a login");
        Run::of(&mut self.old(old.url(), args)).exits(0);
        let new = Server::start(answer);
        let mut command = self.new.at(&new, args);
        // The zone of the old program, whoever uses it.
        Run::of(command.env("KALLYAI_TIMEZONE", "Europe/Madrid")).exits(0);
        [old.requests(), new.requests()]
    }
}

/// The service, as far as both ask it.
fn answer(request: &Request) -> Reply {
    let body = match (request.method.as_str(), request.target.split('?').next().unwrap_or_default()) {
        ("POST", "/v1/calls") => return Reply::json(201, &call(ID, "success")),
        ("GET", "/v1/calls") => json!({ "calls": [], "total": 0 }),
        ("GET", "/v1/users/me/subscription") => json!({ "has_active_subscription": false }),
        ("GET", "/v1/users/me/statistics") => json!({ "plan_type": "starter", "minutes_used": 1.5 }),
        ("GET", "/v1/stripe/billing-portal") => json!({ "url": "https://billing.stripe.com/p/session/x" }),
        ("GET", path) if path.ends_with("/transcript") => json!({ "entries": [] }),
        _ => call(ID, "success"),
    };
    Reply::json(200, &body)
}

#[test]
fn every_reading_command_of_kallyai_cli_asks_the_same() {
    let Some(both) = Both::new() else { return };
    for args in [
        &["--history"][..],
        &["--list"],
        &["--usage"],
        &["--stats"],
        &["--subscription"],
        &["--sub"],
        &["--call-info", ID],
        &["--call", ID],
        &["--transcript", ID],
        &["--billing"],
    ] {
        let asked = both.sent(args).map(|requests| {
            requests
                .into_iter()
                .map(|request| (request.line(), request.header("authorization").map(str::to_owned)))
                .collect::<Vec<_>>()
        });
        assert_eq!(asked[0], asked[1], "{args:?}");
        assert_eq!(asked[0][0].1.as_deref(), Some(format!("Bearer {TOKEN}").as_str()));
    }
}

#[test]
fn every_call_of_kallyai_cli_is_requested_in_the_same_words() {
    let Some(both) = Both::new() else { return };
    let phone = ["--phone", "+15551234567", "--task", "Reserve a table for 4 at 8pm"];
    let all =
        ["--name", "John Smith", "--business", "Casa Lucio", "--party-size", "4", "--date", "2077-01-28"];
    for args in [
        // It speaks Spanish unless it is told otherwise: this program speaks the user's language.
        [&phone[..], &["--language", "es"]].concat(),
        [&phone[..], &["-l", "en", "-c", "restaurant", "--time", "20:00"], &all].concat(),
        vec!["-p", "+34912345678", "-t", "¿Abren mañana?", "-l", "es", "--category=clinic"],
        vec!["-p+34912345678", "-tOpen today?", "-len", "--cat", "hotel"],
    ] {
        let bodies = both.sent(&args).map(|requests| {
            let placed: Vec<Value> =
                requests.iter().filter(|r| r.is("POST", "/v1/calls")).map(Request::json).collect();
            let keyed = requests.iter().filter(|r| r.header("idempotency-key").is_some()).count();
            assert_eq!((placed.len(), keyed), (1, 1), "{args:?}");
            placed
        });
        assert_eq!(bodies[0], bodies[1], "{args:?}");
    }
}

#[test]
fn both_read_the_calls_of_each_other_in_the_sandbox_with_one_login() {
    let Some(both) = Both::new() else { return };
    let mut serve = both.new.kallyai(["--serve-sandbox", "127.0.0.1:0", "--json"]);
    let mut serving =
        serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(serving.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let served: Value = serde_json::from_str(&line).expect("where it is");
    let url = served["api_url"].as_str().expect("an address").trim_end_matches('/');
    // One file serves both, as it does in a home that both share.
    let login = both.old.path(".kallyai_token.json");
    std::fs::copy(served["token_file"].as_str().expect("a file"), &login).expect("its login");
    let new = |args: &[&str]| {
        let mut command = both.new.kallyai(args);
        Run::of(command.env("KALLYAI_API_URL", url).env("KALLYAI_TOKEN_FILE", &login)).exits(0)
    };

    let call = ["-p", "+15551234567", "-t", "Reserve a table for 4 at 8pm", "-l", "en", "-c", "restaurant"];
    let (placed, by_new) = thread::scope(|scope| {
        let placing = scope.spawn(|| Run::of(&mut both.old(url, &call)).exits(0).stdout);
        let by_new = new(&["-p", "+15557654321", "-t", "Ask for the opening hours", "--json"]).json();
        (placing.join().expect("a call"), by_new)
    });
    let by_old = placed.split("Call ID: ").nth(1).expect("an ID").split_whitespace().next().expect("an ID");
    let by_new = by_new["call_id"].as_str().expect("an ID");

    let listed = new(&["--history", "--json"]).json()["calls"].clone();
    let ids: Vec<&str> =
        listed.as_array().expect("calls").iter().filter_map(|c| c["call_id"].as_str()).collect();
    assert!(ids.len() == 2 && ids.contains(&by_old) && ids.contains(&by_new), "{ids:?}");
    let history = Run::of(&mut both.old(url, &["--history"])).exits(0).stdout;
    let info = Run::of(&mut both.old(url, &["--call-info", by_new])).exits(0).stdout;
    let transcript = Run::of(&mut both.old(url, &["--transcript", by_new])).exits(0).stdout;
    let usage = Run::of(&mut both.old(url, &["--usage"])).exits(0).stdout;
    let subscription = Run::of(&mut both.old(url, &["--subscription"])).exits(0).stdout;
    let its = new(&["--transcript", by_old]).stdout;
    serving.kill().expect("it still serves");
    serving.wait().expect("it ends");
    assert!(history.contains(&by_old[..8]) && history.contains(&by_new[..8]), "{history}");
    assert!(info.contains("Status: success") && info.contains("To: +15557654321"), "{info}");
    assert!(transcript.contains("[AI]") && transcript.contains("[H]"), "{transcript}");
    assert!(usage.contains("Calls: 2 / 50"), "{usage}");
    assert!(subscription.contains("[ok] Active"), "{subscription}");
    assert!(its.contains("AI     ") && its.contains("Human"), "{its}");
}
