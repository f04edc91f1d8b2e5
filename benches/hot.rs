//! `cargo bench --bench hot`: the loops that are ours, each at three sizes, so that a cost that grows faster than its
//! input shows in the last column.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    // As every run with a login has.
    for token in ["an-access-token-of-the-usual-length-is-longer", "a-refresh-token"] {
        domain::Secret::parse(token).expect("a secret");
    }
    divan::main();
}

/// The modules as they are, without making them public to anyone else.
#[allow(dead_code, unused_imports)]
#[path = "../src/output"]
mod output {
    mod clean;
    mod columns;
    mod json;
    mod line;
    mod table;

    pub use json::{Layout, copy};
    pub use line::{Line, Tone};
    pub use table::{Cell, Column, Table};

    pub fn cleaned(text: &str) -> usize {
        clean::clean(text).len()
    }

    pub fn shortened(text: &str) -> usize {
        line::shorten(text, 30).len()
    }

    /// As `Output::prose` prints it, to a terminal this wide or to none.
    pub fn prose(label: &Line<'_>, text: &str, width: Option<usize>, to: &mut String) {
        line::write_behind(label, text, Tone::Plain, width, false, to);
    }

    pub fn render(table: &mut Table, width: usize, to: &mut String) {
        table.render(width, false, to);
    }
}

#[allow(dead_code, unused_imports)]
#[path = "../src/domain"]
mod domain {
    mod redact;
    mod secret;
    mod text;

    pub use redact::{redact, redact_bytes, redact_json};
    pub use secret::Secret;
    pub use text::is_unseen;
}

#[allow(dead_code)]
#[path = "../src/api"]
mod api {
    mod lenient;
    pub mod transcript;
}

/// Bytes of a text or a document.
const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];

/// Rows of a table.
const ROWS: [usize; 3] = [20, 200, 2_000];

const PLAIN: &str = "One moment, let me look. Yes, we have a table at eight, on the terrace. ";
const WIDE: &str = "Sí, señor: junto a la ventana. 寿司の予約 🍣 para cuatro personas, ¿verdad? ";
const HOSTILE: &str =
    "One \u{1b}[31mred\u{1b}[0m word,\ta tab \u{202e}and\u{202c} a \u{7}bell between others. ";

fn filled(with: &str, bytes: usize) -> String {
    with.repeat(bytes.div_ceil(with.len()))
}

#[divan::bench(args = SIZES)]
fn clean_plain(bencher: Bencher<'_, '_>, bytes: usize) {
    cleaned(bencher, &filled(PLAIN, bytes));
}

#[divan::bench(args = SIZES)]
fn clean_wide(bencher: Bencher<'_, '_>, bytes: usize) {
    cleaned(bencher, &filled(WIDE, bytes));
}

#[divan::bench(args = SIZES)]
fn clean_hostile(bencher: Bencher<'_, '_>, bytes: usize) {
    cleaned(bencher, &filled(HOSTILE, bytes));
}

/// A stranger may open as many control strings as fit, and end none.
#[divan::bench(args = SIZES)]
fn clean_unended(bencher: Bencher<'_, '_>, bytes: usize) {
    cleaned(bencher, &filled("\u{9d}a", bytes));
}

/// Or hang marks on one letter that take no room.
#[divan::bench(args = SIZES)]
fn shorten_marks(bencher: Bencher<'_, '_>, bytes: usize) {
    let text = format!("e{} and the end of a sentence", filled("\u{301}", bytes));
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| output::shortened(black_box(&text)));
}

fn cleaned(bencher: Bencher<'_, '_>, text: &str) {
    bencher.counter(BytesCount::of_str(text)).bench_local(|| output::cleaned(black_box(text)));
}

#[divan::bench(args = SIZES)]
fn json_compact(bencher: Bencher<'_, '_>, bytes: usize) {
    copied(bencher, &conversation(bytes), output::Layout::Compact);
}

#[divan::bench(args = SIZES)]
fn json_indented(bencher: Bencher<'_, '_>, bytes: usize) {
    copied(bencher, &conversation(bytes), output::Layout::Indented(0));
}

fn copied(bencher: Bencher<'_, '_>, document: &str, layout: output::Layout) {
    let mut to = Vec::with_capacity(2 * document.len());
    bencher.counter(BytesCount::of_str(document)).bench_local(|| {
        to.clear();
        output::copy(black_box(document.as_bytes()), layout, &mut to).expect("a Vec takes everything");
        to.len()
    });
}

#[divan::bench(args = SIZES)]
fn transcript_off_a_terminal(bencher: Bencher<'_, '_>, bytes: usize) {
    told(bencher, bytes, None);
}

#[divan::bench(args = SIZES)]
fn transcript_wrapped(bencher: Bencher<'_, '_>, bytes: usize) {
    told(bencher, bytes, Some(80));
}

fn told(bencher: Bencher<'_, '_>, bytes: usize, width: Option<usize>) {
    let body = conversation(bytes);
    let mut to = String::with_capacity(2 * body.len());
    bencher.counter(BytesCount::of_str(&body)).bench_local(|| {
        to.clear();
        let transcript =
            api::transcript::Transcript::parse(black_box(body.as_bytes())).expect("a transcript");
        for turn in transcript.turns() {
            let time = turn.timestamp.as_deref().unwrap_or_default();
            let label = output::Line::new().tone(output::Tone::Faint, time).text("  AI     ");
            output::prose(&label, &turn.content, width, &mut to);
        }
        to.len()
    });
}

fn conversation(bytes: usize) -> String {
    let turns = [PLAIN, "He asked for a \\\"quiet\\\" corner, if there is one.", WIDE];
    let mut body = String::from(r#"{"entries":["#);
    for (n, turn) in turns.iter().cycle().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let second = n % 60;
        body += &format!(r#"{comma}{{"speaker":"AI","content":"{turn}","timestamp":"00:00:{second:02}"}}"#);
        if body.len() >= bytes {
            return body + "]}";
        }
    }
    body
}

#[divan::bench(args = ROWS)]
fn table(bencher: Bencher<'_, '_>, rows: usize) {
    let column = |heading: &'static str, most, least, gives_way| output::Column {
        heading: heading.into(),
        most,
        least,
        gives_way,
        wraps_below: false,
    };
    let mut to = String::new();
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        to.clear();
        let mut table = output::Table::new(vec![
            column("WHEN", 16, usize::MAX, Some(2)),
            column("STATUS", 13, 13, None),
            column("CALLED", 20, 8, Some(1)),
            column("RESULT", usize::MAX, 10, Some(0)),
            column("ID", 36, 36, None),
        ]);
        for row in 0..rows {
            table.row(vec![
                output::Cell::new("2027-01-28 20:00"),
                output::Cell::toned(output::Tone::Good, "success"),
                output::Cell::new("Casa Lucio, Madrid, terrace"),
                output::Cell::new(if row % 2 == 0 { PLAIN } else { WIDE }),
                output::Cell::new("3f2a0c1e"),
            ]);
        }
        output::render(&mut table, 100, &mut to);
        to.len()
    });
}
