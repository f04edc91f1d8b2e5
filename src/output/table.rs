//! Renders tables. On a terminal they fit its width. Otherwise nothing is truncated and tabs
//! separate the cells.

use textwrap::core::display_width;

use super::clean::one_line;
use super::layout::{FAINT, GAP, PLAIN, Tone, marked, padded, paint, shorten};
use super::terminal::TermInfo;
use crate::view::{Column, Table};

/// Minimum width of a shortened column, in characters. Anything narrower is unreadable.
const MIN_COLUMN: usize = 10;

pub(super) fn render(table: &Table, screen: TermInfo, to: &mut String) {
    match screen.width {
        None => render_tabs(table, to),
        Some(_) if table.rows.is_empty() => {}
        Some(width) => render_fitted(table, width, screen.color, to),
    }
}

fn render_tabs(table: &Table, to: &mut String) {
    to.extend([&table.plain_header.join("\t"), "\n"]);
    for row in &table.plain_rows {
        let cells: Vec<String> = row.iter().map(|cell| one_line(cell)).collect();
        to.extend([&cells.join("\t"), "\n"]);
    }
}

type Cell = (String, Tone);
/// A column's index and its width.
type Slot = (usize, usize);

fn render_fitted(table: &Table, width: usize, color: bool, to: &mut String) {
    let cell = |(column, text): (&Column, &String)| match column.is_status {
        true => marked(text),
        false => (one_line(text), PLAIN),
    };
    let title = |column: &Column| (column.title.to_owned(), FAINT);
    let mut rows: Vec<Vec<Cell>> = vec![table.columns.iter().map(title).collect()];
    let cells = |row: &Vec<String>| table.columns.iter().zip(row).map(cell).collect();
    rows.extend(table.rows.iter().map(cells));
    let slot = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n));
        let widths = cells.map(|(text, _)| display_width(text));
        (n, widths.max().unwrap_or_default())
    };
    let slots: Vec<Slot> = (0..table.columns.len()).map(slot).collect();
    let shrinks = |(n, _): &Slot| table.columns.get(*n).is_some_and(|column| column.shrinks);
    let mut lines = vec![slots.clone()];
    if !fit(&mut lines[0], width, shrinks) {
        lines = stacked(slots, width, shrinks, |(n, _)| {
            table.columns.get(*n).is_some_and(|column| column.is_status)
        });
    }
    for row in &rows {
        for (n, slots) in lines.iter().enumerate() {
            let has_text = |(n, _): &Slot| row.get(*n).is_some_and(|cell| !cell.0.is_empty());
            if n == 0 || slots.iter().any(has_text) {
                push_line(row, GAP * n.min(1), slots, color, to);
            }
        }
    }
}

/// Splits a row into several lines. Shrinkable columns move to a line under the others. If the
/// others are still too wide, the status and the first shrinkable column share a line in between.
fn stacked(
    slots: Vec<Slot>,
    width: usize,
    shrinks: impl Fn(&Slot) -> bool,
    is_status: impl Fn(&Slot) -> bool,
) -> Vec<Vec<Slot>> {
    let (mut below, mut above): (Vec<_>, Vec<_>) = slots.into_iter().partition(shrinks);
    let mut lines = Vec::new();
    if !fit(&mut above, width, |_| false) {
        let (mut middle, rest): (Vec<_>, Vec<_>) = above.into_iter().partition(is_status);
        middle.extend(below.drain(..below.len().min(1)));
        (above, lines) = (rest, vec![middle]);
    }
    lines.push(below);
    for line in &mut lines {
        fit(line, width.saturating_sub(GAP), |_| true);
    }
    fit(&mut above, width, |_| true);
    lines.insert(0, above);
    lines
}

/// Narrows the widest shrinkable columns until the line fits. Returns whether it does.
fn fit(slots: &mut [Slot], most: usize, shrinks: impl Fn(&Slot) -> bool) -> bool {
    let gaps = GAP * slots.len().saturating_sub(1);
    while slots.iter().map(|(_, width)| width).sum::<usize>() + gaps > most {
        let can_shrink = |slot: &&mut Slot| shrinks(slot) && slot.1 > MIN_COLUMN;
        let wide = slots.iter_mut().filter(can_shrink);
        match wide.max_by_key(|slot| slot.1) {
            Some((_, widest)) => *widest -= 1,
            None => return false,
        }
    }
    true
}

fn push_line(row: &[Cell], indent: usize, slots: &[Slot], color: bool, to: &mut String) {
    // Padding before the next cell. It is only written with that cell, so no line ends in spaces.
    let mut padding = indent;
    for (n, width) in slots {
        let Some((text, tone)) = row.get(*n) else {
            continue;
        };
        let text = shorten(text, *width);
        if !text.is_empty() {
            to.push_str(&padded("", padding));
            paint(to, color, tone, &text);
            padding = 0;
        }
        padding += width.saturating_sub(display_width(&text)) + GAP;
    }
    to.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |title, shrinks| Column {
            title,
            shrinks,
            is_status: title == "STATUS",
        };
        let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        Table {
            columns: vec![
                column("WHEN", false),
                column("CALLED", true),
                column("STATUS", false),
                column("RESULT", true),
                column("ID", false),
            ],
            rows: vec![
                row([
                    "Fri 2026-12-04 20:00",
                    "寿司次郎 🍣 銀座本店",
                    "success",
                    "A table for four\nunder the name of Smith",
                    "3f2a0c1e",
                ]),
                row([
                    "Thu 2026-12-03 09:30",
                    "A business with a very long name indeed",
                    "in_progress",
                    "\u{1b}[31me\u{301}té مطعم",
                    "77aa0c1e",
                ]),
            ],
            plain_header: vec!["ID", "RESULT"],
            plain_rows: vec![row(["3f2a0c1e", "A\ttable\nfor four", "", "", ""])],
        }
    }

    fn rendered(width: usize) -> String {
        let mut text = String::new();
        let screen = TermInfo {
            width: Some(width),
            color: false,
        };
        render(&table(), screen, &mut text);
        text
    }

    #[test]
    fn tables_fit_every_width() {
        for width in [40, 41, 60, 80, 100, 120, 200] {
            let text = rendered(width);
            assert!(
                text.lines().all(|line| display_width(line) <= width),
                "{width}\n{text}"
            );
            assert!(
                text.contains("3f2a0c1e") && text.contains("A table"),
                "{width}\n{text}"
            );
        }
    }

    #[test]
    fn long_columns_shrink_then_move_under_the_row() {
        assert_eq!(
            rendered(80),
            "WHEN                  CALLED            STATUS         RESULT           ID\n\
             Fri 2026-12-04 20:00  寿司次郎 🍣…      ✓ success      A table for…     3f2a0c1e\n\
             Thu 2026-12-03 09:30  A business with…  · in progress  e\u{301}té مطعم         77aa0c1e\n"
        );
        assert_eq!(
            rendered(40),
            "WHEN                  ID\n\
             \u{20} STATUS         CALLED\n\
             \u{20} RESULT\n\
             Fri 2026-12-04 20:00  3f2a0c1e\n\
             \u{20} ✓ success      寿司次郎 🍣 銀座本店\n\
             \u{20} A table for four under the name of…\n\
             Thu 2026-12-03 09:30  77aa0c1e\n\
             \u{20} · in progress  A business with a very…\n\
             \u{20} e\u{301}té مطعم\n"
        );
    }

    #[test]
    fn piped_tables_use_tabs_and_untruncated_cells() {
        let mut text = String::new();
        render(&table(), TermInfo::PLAIN, &mut text);
        assert_eq!(text, "ID\tRESULT\n3f2a0c1e\tA table for four\t\t\t\n");
    }
}
