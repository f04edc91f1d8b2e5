//! Usage, subscription, billing, calendars and transcripts as people and programs read them.

use serde_json::json;

use crate::support::{Home, ID, Reply, Run, Server, TOKEN};

fn shown(reply: Reply, flags: &[&str]) -> Run {
    let home = Home::new();
    Run::of(&mut home.at(&Server::always(reply), flags))
}

#[test]
fn usage_has_a_bar_a_percentage_and_a_period() {
    let usage = json!({
        "plan_type": "pro", "subscription_status": "active", "minutes_allocated": 100, "minutes_used": 12.5,
        "minutes_remaining": 87.5, "calls_allocated": 50, "calls_used": 3, "calls_remaining": 47,
        "period_start": "2026-11-01T00:00:00Z", "period_end": "2026-12-01T00:00:00Z", "usage_percentage": 12.5, "new": null,
    });
    let run = shown(Reply::json(200, &usage), &["--usage"]).exits(0);
    assert_eq!(
        run.stdout,
        "Plan        pro (active)\n\
         Minutes     12.5 of 100 used, 87.5 left\n\
         Calls       3 of 50 used, 47 left\n\
         Used        ███░░░░░░░░░░░░░░░░░  12.5%\n\
         Period      2026-10-31 to 2026-11-30, then renewed\n"
    );
    let run = shown(Reply::json(200, &usage), &["--usage", "--json"]).exits(0);
    assert_eq!(run.json(), usage);
}

#[test]
fn usage_beyond_the_plan_or_without_one_is_not_broken() {
    let over = json!({ "minutes_allocated": 10, "minutes_used": 25, "usage_percentage": 250.04 });
    let run = shown(Reply::json(200, &over), &["--usage"]).exits(0);
    assert!(run.stdout.contains("████████████████████  250.0%"), "{}", run.stdout);
    let none = json!({ "minutes_allocated": 0, "minutes_used": 0, "usage_percentage": null });
    let run = shown(Reply::json(200, &none), &["--usage"]).exits(0);
    assert_eq!(run.stdout, "Minutes     0 of 0 used\n");
    let begun = json!({ "period_start": "2026-11-01T12:00:00Z" });
    let run = shown(Reply::json(200, &begun), &["--usage"]).exits(0);
    assert_eq!(run.stdout, "Period      from 2026-11-01\n");
}

#[test]
fn a_subscription_reads_as_plan_status_and_renewal() {
    let pro = json!({
        "has_active_subscription": true, "provider": "stripe", "status": "active", "expires_at": "2077-12-01T12:00:00Z",
        "auto_renew": true, "plan": { "type": "pro", "period": "monthly", "minutes_included": 100 }, "management_url": null,
    });
    let run = shown(Reply::json(200, &pro), &["--subscription"]).exits(0);
    assert_eq!(
        run.stdout,
        "Plan        pro, monthly, 100 minutes included\nStatus      active\nRenews      2077-12-01\nProvider    stripe\n"
    );
    let ending =
        json!({ "has_active_subscription": true, "expires_at": "2077-12-01T12:00:00Z", "auto_renew": false });
    let run = shown(Reply::json(200, &ending), &["--subscription"]).exits(0);
    assert_eq!(run.stdout, "Ends        2077-12-01\n");
    let none = json!({ "has_active_subscription": false, "plan": null, "status": "none" });
    let run = shown(Reply::json(200, &none), &["--sub"]).exits(0);
    assert!(
        run.stdout.contains("no active subscription") && run.stdout.contains("https://kallyai.com/pricing")
    );
}

#[test]
fn the_billing_address_is_always_printed() {
    let portal = json!({ "url": "https://billing.example/session/1" });
    let run = shown(Reply::json(200, &portal), &["--billing"]).exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("https://billing.example/session/1\n", ""));
}

#[cfg(unix)]
#[test]
fn the_billing_address_reaches_the_browser_encoded_and_never_with_the_login() {
    use crate::sign_in_terminal::{browser, written};

    let opening = |url: &str| {
        let home = Home::new();
        let script = browser(&home, "{ echo \"$1\"; echo done; } > \"$HOME/opened\"");
        let server = Server::always(Reply::json(200, &json!({ "url": url })));
        Run::of(home.at(&server, ["--billing"]).env("BROWSER", script)).exits(0);
        home
    };
    // Every user of the computer sees the arguments of a browser.
    let hidden = opening(&format!("https://billing.example/?t={TOKEN}"));
    let opened = opening("https://billing.example/\" & calc & \"");
    let expected = "https://billing.example/%22%20&%20calc%20&%20%22\ndone\n";
    assert_eq!(written(&opened.path("opened")), expected);
    assert!(!hidden.path("opened").exists());
}

#[test]
fn a_calendar_is_passed_on_byte_for_byte() {
    let ics = "BEGIN:VCALENDAR\r\nSUMMARY:caf\u{e9} \u{1b}\r\nEND:VCALENDAR\r\n";
    let run = shown(Reply::new(200, ics), &["--calendar", ID]).exits(0);
    assert_eq!(run.stdout, ics);
    let home = Home::new();
    let server = Server::always(Reply::new(200, ics));
    let file = home.path("dinner.ics");
    let run = Run::of(home.at(&server, ["--calendar", ID, "-o"]).arg(&file)).exits(0);
    assert_eq!((run.stdout.as_str(), std::fs::read_to_string(&file).expect("a file").as_str()), ("", ics));
    let run = Run::of(home.at(&server, ["--calendar", ID, "--json", "-o"]).arg(&file)).exits(0);
    assert_eq!(run.json(), json!({ "output": file.display().to_string() }));
    let run = Run::of(&mut home.at(&server, ["--calendar", ID, "--json", "-o", "-"])).exits(0);
    assert_eq!(run.json(), json!({ "calendar": ics }));
    let nowhere = home.path("no/such/folder/x.ics");
    let run = Run::of(home.at(&server, ["--calendar", ID, "--json", "-o"]).arg(nowhere)).exits(1);
    assert_eq!(run.error()["code"], "io");
}

#[test]
fn what_is_no_calendar_is_not_passed_on() {
    let run = shown(Reply::new(200, "<html>Sign in</html>"), &["--calendar", ID, "--json"]).exits(1);
    assert_eq!((run.error()["code"].as_str(), run.stdout.as_str()), (Some("unexpected_response"), ""));
}

#[test]
fn a_transcript_reads_as_a_conversation_in_every_shape() {
    let turns = "00:00:05  AI     Hello\n00:00:09  Human  Yes?\n";
    for body in [
        json!({ "entries": [{ "speaker": "AI", "content": "Hello", "timestamp": "00:00:05" },
                            { "speaker": "HUMAN", "content": "Yes?", "timestamp": "00:00:09" }] }),
        json!({ "transcript": [{ "role": "assistant", "text": "Hello", "timestamp": "00:00:05" },
                               { "role": "user", "text": "Yes?", "timestamp": "00:00:09" }] }),
        json!([{ "speaker": "AI", "text": "Hello", "timestamp": "00:00:05" },
               { "role": "human", "content": "Yes?", "timestamp": "00:00:09" }]),
    ] {
        assert_eq!(shown(Reply::json(200, &body), &["--transcript", ID]).exits(0).stdout, turns);
        assert_eq!(shown(Reply::json(200, &body), &["--transcript", ID, "--json"]).exits(0).json(), body);
    }
    let plain = shown(Reply::json(200, &json!(["Hello", "Yes?"])), &["--transcript", ID]).exits(0);
    assert_eq!(plain.stdout, "?      Hello\n?      Yes?\n");
    let other = json!([{ "role": "Operator", "text": "Hold on." }, { "role": "", "text": "Music." }]);
    let other = shown(Reply::json(200, &other), &["--transcript", ID]).exits(0);
    assert_eq!(other.stdout, "Operator  Hold on.\n?      Music.\n");
    let nothing = shown(Reply::json(200, &json!({ "entries": [] })), &["--transcript", ID]).exits(0);
    assert_eq!(nothing.stdout, "Nothing was said.\n");
}

#[test]
fn a_long_name_of_a_speaker_leaves_room_for_the_words() {
    let turn = json!({ "speaker": "S".repeat(58), "content": "x", "timestamp": "00:00:05.123456789" });
    let run = shown(Reply::json(200, &json!({ "entries": [turn] })), &["--transcript", ID]).exits(0);
    let (label, words) = run.stdout.trim_end().rsplit_once("  ").expect("a label");
    assert_eq!((label.chars().count(), words), (38, "x"));
    assert!(label.starts_with("00:00:05.12…  S") && label.ends_with("S…"), "{label}");
}

#[test]
fn a_call_is_shown_with_what_was_asked_and_what_came_of_it() {
    let older = json!({
        "call_id": ID, "status": "success", "created_at": "2026-01-28T20:00:00Z", "ended_at": "2026-01-28T20:02:00Z",
        "to": "+15551234567", "business_name": "Bistro", "result_summary": "Booked.\nSee you.",
    });
    let run = shown(Reply::json(200, &older), &["--call-info", ID]).exits(0);
    assert_eq!(
        run.stdout,
        format!(
            "Number      +15551234567\nBusiness    Bistro\nRequested   2026-01-28 15:00\nEnded       2026-01-28 15:02\n\
             Result      Booked.\n            See you.\nsuccess  {ID}\n"
        )
    );
    for (status, exit) in [("busy", 7), ("success", 0)] {
        let call = json!({ "call_id": ID, "status": status });
        shown(Reply::json(200, &call), &["--call-info", ID, "--exit-status"]).exits(exit);
    }
}
