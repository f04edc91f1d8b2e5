//! Whatever a server answers, no command panics, prints a raw control character or ends in an undocumented way.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::hints::Suggesting;
use super::View;
use crate::domain::Zone;
use crate::error::Result;
use crate::output::{Clock, Output, is_unsafe};
use crate::service::Response;

/// Every command that shows what a server answered.
const READERS: [fn(&View<'_>, Response) -> Result<()>; 7] = [
    |view, answer| super::usage(view, &answer.parse()?),
    |view, answer| super::subscription(view, &answer.parse()?),
    |view, answer| super::billing(view, &answer.parse()?),
    |view, answer| super::call(view, &answer.parse()?),
    |view, answer| super::transcript(view, &answer),
    |view, answer| super::calendar(view, &answer.calendar()?, None),
    super::history::one_page,
];

/// As text and as JSON, off a terminal and on one.
const WAYS: [(bool, Option<usize>); 4] = [(false, None), (false, Some(80)), (true, None), (true, Some(80))];

fn check(status: u16, body: &[u8], ways: &[(bool, Option<usize>)]) -> std::result::Result<(), TestCaseError> {
    for reader in READERS {
        for &(json, width) in ways {
            let (out, stdout, stderr) = Output::captured(json, width);
            let view = View { out: &out, clock: Clock::new(Zone::UTC, out.messages()), program: "kallyai" };
            let answer =
                Response { status, retry_after: None, date: None, redirect: None, body: body.to_vec() };
            let ended = answer.into_success().map_err(Into::into).and_then(|answer| reader(&view, answer));
            let exit = match &ended {
                Ok(()) => 0,
                Err(error) => {
                    let suggesting = Suggesting { program: "kallyai", json, is_interactive: false };
                    super::error(&out, error, suggesting);
                    error.exit()
                }
            };
            out.finish().expect("a Vec takes everything");
            prop_assert!(matches!(exit, 0..=7), "exit {exit}");
            // A calendar off a terminal is another program's file.
            let is_file = width.is_none() && body.starts_with(b"BEGIN:VCALENDAR");
            let texts = if is_file { vec![stderr.text()] } else { vec![stdout.text(), stderr.text()] };
            for text in texts {
                prop_assert!(!text.chars().any(|c| is_unsafe(c) || c == '\t'), "{text:?}");
            }
            if json && ended.is_ok() {
                let document: std::result::Result<serde::de::IgnoredAny, _> =
                    serde_json::from_str(&stdout.text());
                prop_assert!(document.is_ok(), "{}", stdout.text());
            }
        }
    }
    Ok(())
}

/// A JSON text that looks like the API's, with anything in its places.
fn document() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "calls",
        "items",
        "total",
        "call_id",
        "status",
        "highlights",
        "next_steps",
        "duration_seconds",
        "metadata",
        "created_at",
        "ended_at",
        "submission",
        "entries",
        "transcript",
        "speaker",
        "content",
        "timestamp",
        "role",
        "text",
        "plan_type",
        "minutes_used",
        "minutes_allocated",
        "usage_percentage",
        "period_end",
        "has_active_subscription",
        "plan",
        "type",
        "expires_at",
        "url",
        "error",
        "code",
        "message",
        "details",
        "respondent_phone",
        "to",
        "x",
    ]);
    let text = prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("JSON")),
        prop::sample::select(vec![
            r#""\u001b[2J""#,
            "\"\u{202e}\u{9b}31m\"",
            r#""\ud800""#,
            r#""2027-01-28T20:00:00Z""#,
            r#""success""#,
            r#""https://x.example/\u0007""#,
            r#""00:00:05""#,
            r#""9999-99-99T99:99:99Z""#,
            "\"\u{7f}\"",
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        3 => text,
        2 => prop::sample::select(vec![
            "null", "true", "false", "0", "-1", "1e308", "1e999", "-0.0", "1.10", "123456789012345678901234567890", "250.04",
        ])
        .prop_map(str::to_owned),
        1 => any::<f64>().prop_map(|n| format!("{n:?}").replace("NaN", "0").replace("inf", "1e99")),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            vec((names.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(" , "))
            }),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => document().prop_map(String::into_bytes),
        2 => (document(), any::<prop::sample::Index>()).prop_map(|(text, at)| {
            let bytes = text.into_bytes();
            bytes[..at.index(bytes.len() + 1)].to_vec()
        }),
        1 => vec(any::<u8>(), 0..200),
        1 => any::<String>().prop_map(|text| format!("BEGIN:VCALENDAR\r\n{text}").into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_answer_breaks_a_command(status in prop::sample::select(vec![200, 200, 200, 201, 302, 402, 404, 422, 429, 503]), body in body(), way in prop::sample::select(WAYS.to_vec())) {
        check(status, &body, &[way])?;
    }
}

#[test]
fn extremes_do_not_break_a_command() {
    for open in ["[", "{\"a\":", "{\"entries\":[", "{\"calls\":[", "{\"highlights\":[", "{\"error\":["] {
        check(200, open.repeat(5000).as_bytes(), &WAYS).expect(open);
        check(404, open.repeat(5000).as_bytes(), &WAYS).expect(open);
    }
    let closed = format!("{{\"call_id\":\"x\",\"deep\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    check(200, closed.as_bytes(), &WAYS).expect("deep");
    for body in [
        &b""[..],
        b"\xff\xfe{}",
        &[b' '; 100_000],
        b"{\"call_id\":\"x\",\"y\":\"\xff\"}",
        b"{\"entries\":[],\"y\":\"\xff\xc2\x9b\"}",
        b"\xef\xbb\xbf{}",
    ] {
        check(200, body, &WAYS).expect("an extreme");
    }
}
