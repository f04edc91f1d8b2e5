//! The picture at the top of the README: a real session in the sandbox, drawn from what the terminal is sent.
//! `INSTA_UPDATE=always cargo test picture` draws it anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::readme::shell;
use crate::support::{Home, Terminal};

const COLUMNS: u16 = 80;
/// In SVG's units.
const LINE: f64 = 19.0;
const CELL: f64 = 8.43;
const MARGIN: f64 = 18.0;

/// What is typed, line by line as it is shown.
const COMMANDS: [&[&str]; 3] = [
    &[
        r#"kallyai --sandbox -p "+1 555 123 4567" -t "Reserve a table for 4 at 8pm" \"#,
        r#"    -c restaurant --business "Casa Lucio" --name "John Smith" \"#,
        r#"    --party-size 4 --date 2027-01-28 --time 20:00"#,
    ],
    &["kallyai --sandbox --transcript last"],
    &["kallyai --sandbox --history"],
];

const STYLE: &str = "\
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;fill:#1f2328}\
rect{fill:#f6f8fa;stroke:#d1d9e0}.b{font-weight:700}.d{fill:#59636e}.g{fill:#1a7f37;font-weight:700}\
.r{fill:#cf222e;font-weight:700}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}rect{fill:#0d1117;stroke:#3d444d}.d{fill:#9198a1}\
.g{fill:#3fb950}.r{fill:#f85149}}";

/// What differs from run to run, made the same; letters and columns stay.
fn masked(text: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let is_short_id = |word: &str| word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    let is_time = |word: &str| {
        word.len() == 5 && word.contains(':') && word.chars().all(|c| c.is_ascii_digit() || c == ':')
    };
    // Escapes belong to no word.
    let mut masked = String::new();
    let mut word = String::new();
    let flush = |word: &mut String, to: &mut String| {
        to.push_str(match word.as_str() {
            id if is_id(id) => "3d01e036-3a3c-4cc8-bfbf-392ebbb3d7ab",
            id if is_short_id(id) => "3d01e036",
            time if is_time(time) => "19:48",
            other => other,
        });
        word.clear();
    };
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' => {
                flush(&mut word, &mut masked);
                masked.push(c);
                for c in characters.by_ref() {
                    masked.push(c);
                    if c.is_ascii_alphabetic() {
                        break;
                    }
                }
            }
            c if c.is_whitespace() => {
                flush(&mut word, &mut masked);
                masked.push(c);
            }
            c => word.push(c),
        }
    }
    flush(&mut word, &mut masked);
    masked
}

/// A line with its colours.
fn drawn(line: &str) -> String {
    let escaped = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut parts = escaped.split("\u{1b}[");
    let mut drawn = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, text) = part.split_once('m').expect("a colour and nothing else");
        let class = match code {
            "0" => "",
            "1" => "b",
            "2" => "d",
            "1;32" => "g",
            "1;31" => "r",
            other => panic!("an escape that is not drawn: {other}"),
        };
        match (class, text) {
            (_, "") => {}
            ("", text) => drawn.push_str(text),
            (class, text) => write!(drawn, "<tspan class=\"{class}\">{text}</tspan>").expect("a String"),
        }
    }
    drawn
}

#[test]
fn the_picture_in_the_readme_is_what_a_newcomer_sees() {
    let home = Home::new();
    let mut lines = Vec::new();
    for typed in COMMANDS {
        for (index, line) in typed.iter().enumerate() {
            lines.push(format!("\u{1b}[2m{}\u{1b}[0m{line}", if index == 0 { "$ " } else { "  " }));
        }
        let command = format!("{} 2>/dev/null; echo :$?:", typed.join("\n"));
        let mut terminal = Terminal::sized(shell(&home, &command), COLUMNS);
        let seen = terminal.shows(":\r\n").replace("\r\n", "\n");
        terminal.end();
        let seen = seen.trim_end().strip_suffix(":0:").expect("success").trim_end();
        lines.extend(masked(seen).lines().map(str::to_owned));
        lines.push(String::new());
    }
    lines.pop();
    let width = f64::from(COLUMNS) * CELL + 2.0 * MARGIN;
    let height = lines.len() as f64 * LINE + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-label=\"A call, its conversation and the history\">\n<style>{STYLE}</style>\n\
         <rect x=\".5\" y=\".5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"8\"/>\n",
        width - 1.0,
        height - 1.0
    );
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let y = MARGIN + LINE * (number as f64 + 0.75);
        writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y:.0}\">{}</text>", drawn(line)).expect("a String");
    }
    svg.push_str("</svg>\n");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/session.svg");
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        std::fs::write(&file, &svg).expect("the picture");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == svg, "the picture is out of date: INSTA_UPDATE=always cargo test picture");
}
