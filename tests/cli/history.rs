//! Lists of calls, and the ways to point at one.

use serde_json::{Value, json};

#[cfg(unix)]
use crate::support::Terminal;
use crate::support::{Home, Reply, Request, Run, Server, call, moment};

/// A UUID of this number.
fn id(n: usize) -> String {
    format!("{n:08x}-55aa-4bbb-8ccc-0123456789ab")
}

/// A history of so many calls, every third not answered, newest first.
fn calls(count: usize) -> Vec<Value> {
    (0..count).map(|n| call(&id(n), if n % 3 == 2 { "no_answer" } else { "success" })).collect()
}

fn member(request: &Request, name: &str) -> Option<usize> {
    let (_, query) = request.target.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?.parse().ok()
}

fn serving(calls: Vec<Value>) -> Server {
    Server::start(move |request| {
        let (limit, offset) =
            (member(request, "limit").unwrap_or(50), member(request, "offset").unwrap_or(0));
        let page: Vec<&Value> = calls.iter().skip(offset).take(limit).collect();
        Reply::json(200, &json!({ "calls": page, "total": calls.len() }))
    })
}

#[test]
fn the_newest_ten_are_shown_and_the_rest_is_counted() {
    let home = Home::new();
    let server = serving(calls(42));
    let run = Run::of(&mut home.at(&server, ["--history"])).exits(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 12, "{}", run.stdout);
    assert!(lines[0].starts_with("WHEN") && lines[0].ends_with("ID"));
    assert!(lines[1].starts_with("today ") && lines[1].ends_with("00000000"), "{}", lines[1]);
    assert!(
        lines[11].starts_with("32 more of 42:")
            && lines[11].contains("--all")
            && lines[11].contains("--offset 10")
    );
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", run.stdout);
}

#[test]
fn an_empty_history_says_so() {
    let home = Home::new();
    let run = Run::of(&mut home.at(&serving(vec![]), ["--history"])).exits(0);
    assert_eq!(run.stdout, "There are no calls yet.\n");
    let run = Run::of(&mut home.at(&serving(vec![]), ["--history", "--all"])).exits(0);
    assert_eq!(run.stdout, "There are no calls yet.\n");
    let run = Run::of(&mut home.at(&serving(vec![]), ["--history", "--all", "--json"])).exits(0);
    assert_eq!(run.json(), json!({ "calls": [], "total": 0 }));
    let run = Run::of(&mut home.at(&serving(calls(3)), ["--history", "--offset", "3"])).exits(0);
    assert_eq!(run.stdout, "There are no calls beyond these.\n");
}

#[test]
fn all_walks_every_page_and_prints_one_document() {
    let home = Home::new();
    let calls = calls(450);
    let server = serving(calls.clone());
    let run = Run::of(&mut home.at(&server, ["--history", "--all", "--json"])).exits(0);
    assert_eq!(run.json(), json!({ "calls": calls, "total": 450 }));
    // Those behind the first are on their way together.
    let mut asked: Vec<String> = server.requests().iter().map(Request::line).collect();
    asked.sort();
    assert_eq!(
        asked,
        [
            "GET /v1/calls?limit=200",
            "GET /v1/calls?limit=200&offset=200",
            "GET /v1/calls?limit=200&offset=400"
        ]
    );
    let text = Run::of(&mut home.at(&server, ["--history", "--all"])).exits(0);
    assert_eq!(text.stdout.lines().count(), 451);
}

#[cfg(unix)]
#[test]
fn all_in_json_is_indented_for_whoever_reads_it_on_a_terminal() {
    let home = Home::new();
    let server = serving(calls(2));
    let mut terminal = Terminal::sized(home.at(&server, ["--history", "--all", "--json"]), 80);
    assert_eq!(terminal.end(), Some(0));
    let screen = terminal.shows("\"total\": 2\r\n}\r\n");
    assert!(screen.starts_with("{\r\n  \"calls\": [\r\n    {\r\n      \"call_id\": "), "{screen}");
    let shown: Value = serde_json::from_str(&screen).expect("one document");
    assert_eq!(shown["calls"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_status_is_searched_for_until_there_are_enough() {
    let home = Home::new();
    let server = serving(calls(450));
    let run =
        Run::of(&mut home.at(&server, ["--history", "--status", "no_answer", "--limit", "80", "--json"]))
            .exits(0);
    let found = run.json();
    assert_eq!((found["calls"].as_array().map(Vec::len), &found["total"]), (Some(80), &json!(80)));
    assert!(found["calls"].as_array().unwrap().iter().all(|call| call["status"] == "no_answer"));
    assert_eq!(server.requests().len(), 2, "the third page was not needed");
    let none = Run::of(&mut home.at(&server, ["--history", "--status", "busy"])).exits(0);
    assert_eq!(none.stdout, "There is no call of status busy; those there are: no_answer, success.\n");
    let near = Run::of(&mut home.at(&server, ["--history", "--status", "bussy"])).exits(0);
    assert!(near.stdout.ends_with("no_answer, success. Did you mean --status busy?\n"), "{}", near.stdout);
    let some = Run::of(&mut home.at(&server, ["--history", "--status", "success", "--limit", "2"])).exits(0);
    assert!(
        some.stdout.lines().last().unwrap().starts_with("There may be more: --limit N"),
        "{}",
        some.stdout
    );
}

#[test]
fn an_id_is_shortened_only_where_that_tells_it_from_the_others() {
    let home = Home::new();
    let shown = |ids: &[&str]| {
        let server = serving(ids.iter().map(|id| call(id, "success")).collect());
        let run = Run::of(&mut home.at(&server, ["--history"])).exits(0);
        run.stdout.lines().skip(1).map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&[&id(1), "call-number-seven"]), ["00000001", "call-number-seven"]);
    let twin = id(1).replace("55aa", "55ab");
    assert_eq!(shown(&[&id(1), &twin]), [id(1), twin]);
}

#[test]
fn a_server_that_knows_no_offset_is_not_asked_for_ever() {
    let home = Home::new();
    let calls = calls(3);
    let server = Server::always(Reply::json(200, &json!({ "items": calls })));
    let run = Run::of(&mut home.at(&server, ["--history", "--all", "--json"])).exits(0);
    assert_eq!(run.json(), json!({ "calls": calls, "total": 3 }));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_history_that_cannot_be_read_leaves_nothing_on_stdout() {
    let home = Home::new();
    let server = Server::always(Reply::new(404, ""));
    let run = Run::of(&mut home.at(&server, ["--history", "--all", "--json"])).exits(1);
    assert_eq!(run.stdout, "");
}

#[test]
fn a_call_that_is_listed_twice_is_one() {
    let home = Home::new();
    let server = Server::start(|request| {
        let call = call(&id(1), "success");
        Reply::json(
            200,
            &if request.is("GET", "/v1/calls") { json!({ "calls": [call, call] }) } else { call },
        )
    });
    Run::of(&mut home.at(&server, ["--call-info", &id(1)[..8]])).exits(0);
}

#[test]
fn an_unfinished_id_names_one_call_or_none() {
    let home = Home::new();
    let server = serving(calls(20));
    let asked = |prefix: &str| Run::of(&mut home.at(&server, ["--call-info", prefix, "--json"]));
    let none = asked("ffff").exits(1);
    assert_eq!(none.error()["code"], "call_not_found");
    let several = asked("0000").exits(1);
    assert!(several.error()["message"].as_str().unwrap().contains(&id(19)), "{}", several.stderr);
    assert!(server.requests().iter().all(|request| request.is("GET", "/v1/calls")));
    let empty = Run::of(&mut home.at(&serving(vec![]), ["--call-info", "last", "--json"])).exits(1);
    assert_eq!(empty.error()["code"], "call_not_found");
}

#[test]
fn wide_letters_and_long_words_keep_the_columns() {
    let mut odd = calls(3);
    odd[0]["highlights"] =
        json!("寿司の予約を四名様で承りました。ありがとうございます。お待ちしております。");
    odd[1]["highlights"] =
        json!("🍣🍕 two 👩‍👩‍👧 emoji e\u{301}te\u{301}, and then a rather long sentence without any end");
    odd[2]["highlights"] = json!("first line\nsecond line");
    odd[2]["metadata"] = json!({ "created_at": moment(-86_400 * 40) });
    let home = Home::new();
    let run = Run::of(&mut home.at(&serving(odd), ["--history"])).exits(0);
    for line in run.stdout.lines() {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{line}");
    }
    assert!(run.stdout.contains('…') && run.stdout.contains("first line second line"), "{}", run.stdout);
}

/// 450 calls, newest first, one every four hours; every hundredth is to a place of its own.
fn spread() -> Vec<Value> {
    let one = |n: usize| {
        let mut object = call(&id(n), "success");
        object["metadata"] = json!({ "created_at": moment(-(n as i64) * 4 * 3600) });
        object["highlights"] = json!(format!("Booked, number {n}."));
        object["submission"]["respondent_phone"] = json!(format!("+1555000{n:04}"));
        if n % 100 == 99 {
            object["submission"]["business_name"] = json!("Café  LUCÍA");
        }
        object
    };
    (0..450).map(one).collect()
}

fn ids(run: &Run) -> Vec<String> {
    let calls = run.json()["calls"].as_array().expect("a list").clone();
    calls.iter().map(|call| call["call_id"].as_str().expect("an ID").to_owned()).collect()
}

#[test]
fn a_text_is_searched_page_after_page_until_there_are_enough() {
    let home = Home::new();
    let server = serving(spread());
    let run = |flags: &[&str]| Run::of(home.at(&server, ["--history"]).args(flags)).exits(0);
    let found = run(&["--json", "--search", "cafe\u{301} luci\u{301}a", "--limit", "2"]);
    assert_eq!(ids(&found), [id(99), id(199)]);
    assert_eq!(found.json()["total"], 2);
    let asked: Vec<String> = server.requests().iter().map(Request::line).collect();
    assert_eq!(asked, ["GET /v1/calls?limit=200"]);
    assert_eq!(ids(&run(&["--json", "--search", "CAFÉ", "--all"])), [id(99), id(199), id(299), id(399)]);
    assert_eq!(ids(&run(&["--json", "--search", "number 7."])), [id(7)]);
    assert_eq!(ids(&run(&["--json", "--search", "+1 (555) 000-0444"])), [id(444)]);
    assert_eq!(ids(&run(&["--json", "--search", "café", "--status", "busy"])), [""; 0]);
    assert_eq!(run(&["--search", "nowhere"]).stdout, "There is no such call.\n");
    let table = run(&["--search", "café", "--limit", "1"]).stdout;
    assert!(table.contains("There may be more: --limit N for as many"), "{table}");
}

#[test]
fn what_was_before_a_day_is_left_out_and_not_read() {
    let home = Home::new();
    let calls = spread();
    let server = serving(calls.clone());
    let since = |day: &str| {
        let mut command = home.at(&server, ["--history", "--json", "--all", "--limit", "50", "--since", day]);
        ids(&Run::of(command.env("KALLYAI_TIMEZONE", "Europe/Madrid")).exits(0))
    };
    let today = jiff::Timestamp::now().in_tz("Europe/Madrid").expect("a zone").date();
    let day = today.checked_sub(jiff::Span::new().days(10)).expect("a date");
    let begin = day.in_tz("Europe/Madrid").expect("a day").timestamp();
    let expected = calls.iter().filter(|call| {
        let created = call["metadata"]["created_at"].as_str().expect("a time");
        created.parse::<jiff::Timestamp>().expect("a time") >= begin
    });
    let expected: Vec<&str> = expected.map(|call| call["call_id"].as_str().expect("an ID")).collect();
    assert_eq!(since(&day.to_string()), expected);
    // Those of 50 days more are not read.
    let furthest = server.requests().iter().filter_map(|request| member(request, "offset")).max();
    assert!(furthest.is_some_and(|offset| offset < 350), "{furthest:?}");
    // The test may run into the next day.
    let (yesterday, today) = (since("yesterday").len(), since("today").len());
    assert!((0..=7).contains(&today) && yesterday > today, "{yesterday} {today}");
    assert!((7..=7 * 6 + 7).contains(&since("monday").len()));
    for day in ["tomorrow", "2999-01-01", "1/2/2027", "soon"] {
        Run::of(&mut home.at(&server, ["--history", "--since", day])).exits(2);
    }
    let nothing = Run::of(&mut home.at(&server, ["--history", "--search", "nobody said this"])).exits(0);
    assert_eq!(nothing.stdout, "There is no such call.\n");
}
