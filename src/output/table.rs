//! Renders tables. On a terminal, cells are shortened so that the table fits. Otherwise, cells are
//! complete and separated by tabs.

use textwrap::core::display_width;

use super::clean::one_line;
use super::layout::{FAINT, GAP, Page, padded, shorten};
use crate::view::{Style, Table};

/// Minimum width of a shortened column, in characters. Anything narrower is unreadable.
const MIN_COLUMN: usize = 10;

pub(super) fn render(table: &Table, page: &mut Page) {
    match page.screen.width {
        None => render_tabs(table, page),
        Some(_) if table.rows.is_empty() => {}
        Some(width) => render_fitted(table, width, page),
    }
}

fn render_tabs(table: &Table, page: &mut Page) {
    for row in &table.plain {
        let cells: Vec<String> = row.iter().map(|cell| one_line(cell)).collect();
        page.end_line(&cells.join("\t"));
    }
}

fn render_fitted(table: &Table, width: usize, page: &mut Page) {
    let cell = |((_, style), text): (&(&str, Style), &String)| match style {
        Style::Status => page.status(text),
        Style::Fixed | Style::Shrinks => one_line(text),
    };
    let cells = |row: &Vec<String>| table.columns.iter().zip(row).map(cell).collect();
    let mut rows: Vec<Vec<String>> = table.rows.iter().map(cells).collect();
    let title = |(title, _): &(&str, Style)| page.painted(FAINT, &title.to_uppercase());
    rows.insert(0, table.columns.iter().map(title).collect());
    match widths(table, &rows, width) {
        Some(widths) => {
            for row in &rows {
                let cells = row.iter().zip(&widths);
                let cells = cells.map(|(text, width)| padded(&shorten(text, *width), *width));
                let line = cells.collect::<Vec<_>>().join(&" ".repeat(GAP));
                page.end_line(line.trim_end());
            }
        }
        // The terminal is too narrow for a table, so render each row as a list of fields.
        None => {
            for row in &rows[1..] {
                let titles = table.columns.iter().map(|(title, _)| (*title).to_owned());
                let fields = titles.zip(row.iter().cloned());
                let fields = fields.filter(|(_, text)| !text.is_empty());
                page.fields(&fields.collect::<Vec<_>>());
            }
        }
    }
}

/// Returns the column widths. Narrows the widest shrinkable columns until every row fits. Returns
/// `None` if the rows cannot fit.
fn widths(table: &Table, rows: &[Vec<String>], max_width: usize) -> Option<Vec<usize>> {
    let width = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n));
        cells.map(|text| display_width(text)).max()
    };
    let mut widths: Vec<usize> = (0..table.columns.len()).filter_map(width).collect();
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > max_width {
        let columns = widths.iter_mut().zip(&table.columns);
        let shrinkable =
            columns.filter(|(width, (_, style))| *style == Style::Shrinks && **width > MIN_COLUMN);
        let (widest, _) = shrinkable.max_by_key(|(width, _)| **width)?;
        *widest -= 1;
    }
    Some(widths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::terminal::TermInfo;

    fn table() -> Table {
        let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        Table {
            columns: vec![
                ("When", Style::Fixed),
                ("Called", Style::Shrinks),
                ("Status", Style::Status),
                ("Result", Style::Shrinks),
                ("ID", Style::Fixed),
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
            plain: vec![row(["3f2a0c1e", "A\ttable\nfor four", "", "", ""])],
        }
    }

    fn rendered(width: usize) -> String {
        let mut page = Page::new(TermInfo {
            width: Some(width),
            color: false,
        });
        render(&table(), &mut page);
        page.text
    }

    #[test]
    fn tables_fit_terminals_of_any_width() {
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
    fn narrow_table_shrinks_columns_or_becomes_fields() {
        assert_eq!(
            rendered(80),
            "WHEN                  CALLED            STATUS         RESULT           ID\n\
             Fri 2026-12-04 20:00  寿司次郎 🍣 銀…   ✓ success      A table for fo…  3f2a0c1e\n\
             Thu 2026-12-03 09:30  A business with…  · in progress  e\u{301}té مطعم         77aa0c1e\n"
        );
        assert_eq!(
            rendered(40).split("\n\n").next().unwrap_or_default(),
            "When    Fri 2026-12-04 20:00\n\
             Called  寿司次郎 🍣 銀座本店\n\
             Status  ✓ success\n\
             Result  A table for four under the name\n\
             \u{20}       of Smith\n\
             ID      3f2a0c1e"
        );
    }

    #[test]
    fn piped_tables_use_tabs_and_do_not_shorten_cells() {
        let mut page = Page::new(TermInfo::PLAIN);
        render(&table(), &mut page);
        assert_eq!(page.text, "3f2a0c1e\tA table for four\t\t\t\n");
    }
}
