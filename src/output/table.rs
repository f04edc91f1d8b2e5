//! Tables that use the width there is: every column as wide as its widest cell, and what is left to one of them.

use std::borrow::Cow;

use super::clean::clean;
use super::line::{Tone, columns, shorten};

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// The most columns of the terminal it takes; `None` for the one that takes what is left.
    pub most: Option<usize>,
}

/// A cell: foreign text, cleaned as it is put in.
#[derive(Debug, Clone)]
pub struct Cell {
    tone: Tone,
    text: String,
}

impl Cell {
    /// A cell of `text`.
    pub fn new(text: &str) -> Self {
        Self::toned(Tone::Plain, text)
    }

    /// A cell that stands out.
    pub fn toned(tone: Tone, text: &str) -> Self {
        Self { tone, text: clean(text).trim().to_owned() }
    }
}

/// Rows under headings.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    /// As the first page had them: those that follow stand under it.
    widths: Option<Vec<usize>>,
}

const GAP: usize = 2;

/// Less than this and the column that takes what is left tells nothing.
const LEAST: usize = 10;

impl Table {
    /// A table without rows.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new(), widths: None }
    }

    /// Adds a row with a cell for each column.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Appends the rows there are, `width` columns wide at the most, and forgets them; the first time under headings.
    pub(super) fn render(&mut self, width: usize, color: bool, to: &mut String) {
        let widths = self.widths.take().unwrap_or_else(|| {
            let widths = self.fit(width);
            let headings = self.columns.iter().map(|column| (Tone::Faint, column.heading));
            render_row(headings, &widths, color, to);
            widths
        });
        for row in self.rows.drain(..) {
            render_row(row.iter().map(|cell| (cell.tone, cell.text.as_str())), &widths, color, to);
        }
        self.widths = Some(widths);
    }

    fn fit(&self, width: usize) -> Vec<usize> {
        let natural = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| columns(&cell.text));
            cells.max().unwrap_or(0).max(self.columns.get(index).map_or(0, |column| columns(column.heading)))
        };
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| column.most.map_or(0, |most| natural(index).min(most)))
            .collect();
        let taken = widths.iter().sum::<usize>() + GAP * self.columns.len().saturating_sub(1);
        for (index, column) in self.columns.iter().enumerate() {
            if column.most.is_none() {
                let room = width.saturating_sub(taken).max(LEAST);
                if let Some(slot) = widths.get_mut(index) {
                    *slot = natural(index).min(room);
                }
            }
        }
        widths
    }
}

fn render_row<'a>(
    cells: impl Iterator<Item = (Tone, &'a str)>,
    widths: &[usize],
    color: bool,
    to: &mut String,
) {
    // Spaces owed to the columns before; never paid at the end of a line.
    let mut owed = 0;
    for ((tone, text), width) in cells.zip(widths) {
        let text: Cow<'_, str> = shorten(text, *width);
        if !text.is_empty() {
            to.extend(std::iter::repeat_n(' ', owed));
            tone.paint(&text, color, to);
            owed = 0;
        }
        owed += width - columns(&text).min(*width) + GAP;
    }
    to.push('\n');
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    fn table() -> Table {
        let mut table = Table::new(vec![
            Column { heading: "WHEN", most: Some(16) },
            Column { heading: "WHAT", most: None },
            Column { heading: "ID", most: Some(8) },
        ]);
        table.row(vec![
            Cell::new("today 15:30"),
            Cell::new("A table for four under the name of Smith"),
            Cell::new("3f2a0c1e"),
        ]);
        table.row(vec![
            Cell::new("2026-11-02 09:00"),
            Cell::new("寿司の予約 🍣 e\u{301}té"),
            Cell::new("77aa"),
        ]);
        table.row(vec![Cell::new(""), Cell::new("two\nlines \u{1b}[31mred"), Cell::new("")]);
        table
    }

    #[test]
    fn columns_align_and_the_free_one_is_cut_at_a_word() {
        let mut text = String::new();
        table().render(50, false, &mut text);
        assert_eq!(
            text,
            "WHEN              WHAT                    ID\n\
             today 15:30       A table for four…       3f2a0c1e\n\
             2026-11-02 09:00  寿司の予約 🍣 e\u{301}té       77aa\n\
             \u{20}                 two lines red\n"
        );
    }

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        for width in [40, 80, 120, 200] {
            let mut text = String::new();
            table().render(width, false, &mut text);
            assert!(text.lines().all(|line| line.width() <= width), "{width}\n{text}");
        }
    }
}
