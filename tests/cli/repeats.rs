//! Tests that a different request makes a second call, but a reworded one does not.

use crate::support::{Home, Run, Service, says};
use crate::wire::words;

const NUMBER: [&str; 4] = ["call", "-p", "+15551234567", "--json"];

/// Makes a call whose result cannot be printed, so that the result counts as unseen.
#[cfg(target_os = "linux")]
fn call_unseen(home: &Home, service: &Service, task: &str) {
    let full = std::fs::File::create("/dev/full").expect("a device");
    let mut command = service.at(home, NUMBER);
    command
        .args(["-t", task])
        .stdout(full)
        .stderr(std::process::Stdio::null());
    assert_ne!(command.status().expect("a run").code(), Some(0));
    assert_eq!(service.posts(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn unseen_result_blocks_a_reworded_request() {
    for line in r#"
        -t "Please book us a table"|-t "Reserva una mesa" -l es|-t "Reserve a table" --name Ana
        |-t "Reserve a table" --date 2077-01-28
    "#
    .split('|')
    {
        let (home, service) = (Home::new(), Service::with([]));
        call_unseen(&home, &service, "Reserve a table");
        let run = Run::of(service.at(&home, NUMBER).args(words(line)));
        let error = run.fails(6, "already_done");
        assert_eq!(service.posts(), 1, "{line}");
        says(&error, "message", "Reserve a table");
    }
}

/// Books a check-up, then calls again with these flags. Returns the second run and the POST count.
fn repeated(line: &str) -> (Run, usize) {
    const FIRST: &str =
        r#"-t "Book a check-up" --name Ana --party-size 2 --date 2077-01-28 --time 9am"#;
    let (home, service) = (Home::new(), Service::with([]));
    Run::of(service.at(&home, NUMBER).args(words(FIRST))).exits(0);
    let run = Run::of(service.at(&home, NUMBER).args(words(line)));
    (run, service.posts())
}

#[test]
fn reworded_request_makes_no_second_call() {
    for line in r#"
        -t "A dentist's appointment" --name Ana --date 2077-01-28 --time 09:00
        |-t "Book a check-up" --date 2077-01-28 --time 9:00am --business "Dr. Sol"
        |-t Check-up -c clinic --party-size 2 --date 2077-01-28 --time 09:00
        |-t "Reserva una revisión" -l es --name ANA --date 2077-01-28 --time 09:00
    "#
    .split('|')
    {
        let (run, posts) = repeated(line);
        run.fails(6, "already_done");
        assert_eq!(posts, 1, "{line}");
    }
}

#[test]
fn different_request_in_similar_words_is_allowed() {
    for line in r#"
        -t "Book a check-up" --name Eva --date 2077-01-28 --time 9am
        |-t "Book a check-up" --name Ana --party-size 3 --date 2077-01-28 --time 9am
        |-t "Book a check-up" --name Ana --date 2077-01-28 --time 10am
        |-t "Book a check-up" --name Ana --date 2077-01-29 --time 9am
        |-t "Cancel the check-up" --name Ana
        |-t "Book a check-up"
    "#
    .split('|')
    {
        let (run, posts) = repeated(line);
        assert_eq!(posts, 2, "{line} {}", run.stderr);
        assert!(run.exits(0).stderr.contains("[recent_success]"), "{line}");
    }
}

#[test]
fn phone_number_in_another_format_counts_as_the_same() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut open = service.entry("open", 60);
    open["request"]["submission"]["respondent_phone"] = "+442079460958".into();
    home.write_journal([open]);
    let call = |number| Run::of(&mut service.at(&home, ["call", number, "Ask", "--json"]));
    for number in "tel:+44-20-7946-0958|＋44 20／7946．0958|+44 (20) 79460958".split('|') {
        call(number).fails(6, "call_open");
    }
    for number in "+44 020 7946 0958|+44 (0)20 7946 0958".split('|') {
        let error = call(number).fails(2, "invalid_input");
        says(&error, "hint", "+442079460958");
    }
    for number in "+442079460958 x123|+442079460958;ext=12".split('|') {
        let error = call(number).fails(2, "invalid_input");
        says(&error, "hint", "--instruction");
    }
    assert_eq!(service.posts(), 0);
}
