//! The language of what is said to a person. What programs read is the same in each.

use crate::support::{CALL, Home, ID, Reply, Run, Server, call};

/// What is said of a flag that does not exist.
fn said(variables: &[(&str, &str)], flags: &[&str]) -> String {
    Run::of(Home::new().kallyai(flags).arg("--no-such").envs(variables.iter().copied())).exits(2).stderr
}

const SPANISH: &str = "no existe la opción";
const ENGLISH: &str = "there is no flag";

#[test]
fn the_language_is_that_of_the_flag_or_the_variable_or_the_locale() {
    for (variables, flags, expected) in [
        (&[][..], &[][..], ENGLISH),
        (&[("LANG", "es_MX.UTF-8")], &[], SPANISH),
        (&[("LC_ALL", "es"), ("LANG", "en_US.UTF-8")], &[], SPANISH),
        (&[("LANG", "et_EE.UTF-8")], &[], ENGLISH),
        (&[("KALLYAI_LANGUAGE", "es"), ("LANG", "en_US.UTF-8")], &[], SPANISH),
        (&[("KALLYAI_LANGUAGE", "en"), ("LANG", "es_ES.UTF-8")], &[], ENGLISH),
        (&[("KALLYAI_LANGUAGE", "tlhIngan")], &[], ENGLISH),
        (&[("LANG", "es_ES.UTF-8")], &["-l", "en"], ENGLISH),
        (&[], &["-l", "es"], SPANISH),
        (&[], &["-les"], SPANISH),
        (&[], &["--language", "es"], SPANISH),
        (&[], &["--lang=ES"], SPANISH),
        (&[], &["--logout"], ENGLISH),
    ] {
        assert!(said(variables, flags).contains(expected), "{variables:?} {flags:?}");
    }
}

#[test]
fn the_defaults_file_may_say_the_language_of_every_command() {
    let home = Home::new();
    std::fs::write(home.path("defaults"), "--language=es\n").expect("a file");
    let run = Run::of(home.kallyai(["--history"]).env("KALLYAI_CONFIG", home.path("defaults"))).exits(4);
    assert!(run.stderr.contains("no has iniciado sesión"), "{}", run.stderr);
}

#[test]
fn help_is_in_the_readers_language() {
    let home = Home::new();
    for (flags, parts) in [
        (&["-h"][..], &["Uso: kallyai", "Hacer una llamada:", "Número al que llamar"][..]),
        (&["--help"], &["Códigos de salida:", "sin minutos", "Archivos:", "[también: --list]"]),
        (&[], &["Un ensayo, en el que no suena ningún teléfono"]),
    ] {
        let help = Run::of(home.kallyai(flags).env("LANG", "es_ES.UTF-8")).exits(0).stdout;
        for part in parts {
            assert!(help.contains(part), "{part}: {help}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}

#[test]
fn what_programs_read_is_the_same_in_every_language() {
    let made = call(ID, "success");
    let server = Server::start(move |_| Reply::json(200, &made));
    for flags in [&CALL[..], &["--history"], &["--help"], &["--no-such"], &["--pending"]] {
        let [english, spanish] = ["en_US.UTF-8", "es_ES.UTF-8"].map(|locale| {
            let home = Home::new();
            // The call itself is made in the language of the locale.
            let language = if flags == CALL { &["-l", "en"][..] } else { &[] };
            let run = Run::of(home.at(&server, flags).args(language).arg("--json").env("LANG", locale));
            (run.stdout, run.stderr)
        });
        assert_eq!(english, spanish, "{flags:?}");
    }
}

#[test]
fn a_person_reads_the_result_of_a_call_in_spanish() {
    let server = Server::start(|_| Reply::json(200, &call(ID, "success")));
    let run = Run::of(Home::new().at(&server, CALL).args(["-l", "es"])).exits(0);
    assert!(run.stdout.contains("Resultado"), "{}", run.stdout);
    // A script that reads no JSON may still look for this.
    assert!(run.stdout.contains("success"), "{}", run.stdout);
}

#[test]
fn a_status_may_be_written_as_it_is_read() {
    let home = Home::new();
    let [ended, other] = [call(ID, "success"), call("3f2a0c1e-55aa-4bbb-8ccc-000000000001", "busy")];
    let server =
        Server::always(Reply::json(200, &serde_json::json!({ "total": 2, "calls": [ended, other] })));
    for (language, status) in [("es", "Éxito"), ("es", "success"), ("en", "Success")] {
        let flags = ["--history", "--brief", "--status", status];
        let run = Run::of(home.at(&server, flags).env("KALLYAI_LANGUAGE", language)).exits(0);
        let listed = run.json()["calls"].as_array().expect("calls").len();
        assert_eq!(listed, 1, "{status}: {}", run.stdout);
    }
}
