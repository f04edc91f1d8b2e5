//! Tables that fit the width there is: every column as wide as its widest cell; where that is too wide, columns are
//! narrowed and left out in the order in which they may be missed.

use std::borrow::Cow;

use super::clean::{clean, may_be_emoji};
use super::columns::columns;
use super::line::{Tone, shorten};

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its heading.
    pub heading: Cow<'static, str>,
    /// The most columns of the terminal it takes while others need them.
    pub most: usize,
    /// Below so many it tells nothing, and is left out.
    pub least: usize,
    /// When it gives way where the terminal is narrow: the lowest first; `None` for never.
    pub gives_way: Option<u8>,
    /// Whether, left out, it stands on a line of its own below the row.
    pub wraps_below: bool,
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
        Self { tone, text: without_modifiers(clean(text).trim()) }
    }
}

/// A text whose emoji stand side by side: joined or coloured ones take as many columns as the terminal likes, and what stands
/// behind them would be out of line.
fn without_modifiers(text: &str) -> String {
    let mut is_behind_emoji = false;
    let stays = |c: &char| match c {
        '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' => false,
        '\u{200d}' => !is_behind_emoji,
        other => {
            is_behind_emoji = may_be_emoji(*other);
            true
        }
    };
    text.chars().filter(stays).collect()
}

/// Rows under headings.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    /// As the first page had them: those that follow stand under it. `None` for what is left out.
    widths: Option<Vec<Option<usize>>>,
}

const GAP: usize = 2;

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
            let headings = self.columns.iter().map(|column| (Tone::Faint, &*column.heading));
            render_row(headings, &widths, color, to);
            widths
        });
        for row in self.rows.drain(..) {
            render_row(row.iter().map(|cell| (cell.tone, cell.text.as_str())), &widths, color, to);
            let shown = self.columns.iter().zip(&widths);
            let below =
                row.iter().zip(shown).filter(|(_, (column, shown))| column.wraps_below && shown.is_none());
            for (cell, _) in below.filter(|(cell, _)| !cell.text.is_empty()) {
                let cells = [(Tone::Plain, ""), (cell.tone, cell.text.as_str())];
                render_row(cells.into_iter(), &[Some(0), Some(width.saturating_sub(GAP))], color, to);
            }
        }
        self.widths = Some(widths);
    }

    /// The width of each column, `None` for those that are left out.
    fn fit(&self, width: usize) -> Vec<Option<usize>> {
        let natural: Vec<usize> = (0..self.columns.len()).map(|index| self.natural_width(index)).collect();
        let wanted =
            natural.iter().zip(&self.columns).map(|(natural, column)| Some(*natural.min(&column.most)));
        let mut widths: Vec<Option<usize>> = wanted.collect();
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by_key(|index| {
            self.columns.get(*index).and_then(|column| column.gives_way).unwrap_or(u8::MAX)
        });
        for &index in &order {
            let excess = taken(&widths).saturating_sub(width);
            let (Some(column), Some(slot)) = (self.columns.get(index), widths.get_mut(index)) else {
                continue;
            };
            let Some(has) = *slot else { continue };
            if excess == 0 {
                break;
            }
            let narrowed = has.saturating_sub(excess);
            *slot = if narrowed >= column.least {
                Some(narrowed)
            } else if column.gives_way.is_some() {
                None
            } else {
                // Better cut than broken by the terminal.
                Some(narrowed.max(1))
            };
        }
        // What those that were left out leave goes to those that stayed.
        for (index, natural) in natural.iter().enumerate() {
            let spare = width.saturating_sub(taken(&widths));
            if let Some(Some(has)) = widths.get_mut(index) {
                *has = (*has + spare).min(*natural).max(*has);
            }
        }
        widths
    }

    fn natural_width(&self, index: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| columns(&cell.text));
        cells.max().unwrap_or(0).max(self.columns.get(index).map_or(0, |column| columns(&column.heading)))
    }
}

/// The columns of the terminal that a row takes.
fn taken(widths: &[Option<usize>]) -> usize {
    let kept = widths.iter().flatten();
    kept.clone().sum::<usize>() + GAP * kept.count().saturating_sub(1)
}

fn render_row<'a>(
    cells: impl Iterator<Item = (Tone, &'a str)>,
    widths: &[Option<usize>],
    color: bool,
    to: &mut String,
) {
    // Spaces owed to the columns before; never paid at the end of a line.
    let mut owed = 0;
    for ((tone, text), width) in cells.zip(widths).filter_map(|(cell, width)| Some((cell, (*width)?))) {
        let text: Cow<'_, str> = shorten(text, width);
        if !text.is_empty() {
            to.extend(std::iter::repeat_n(' ', owed));
            tone.paint(&text, color, to);
            owed = 0;
        }
        owed += width - columns(&text).min(width) + GAP;
    }
    to.push('\n');
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    fn table() -> Table {
        let column = |heading: &'static str, most, least, gives_way| Column {
            heading: heading.into(),
            most,
            least,
            gives_way,
            wraps_below: false,
        };
        let mut table = Table::new(vec![
            column("WHEN", 16, usize::MAX, Some(1)),
            column("WHAT", usize::MAX, 10, Some(0)),
            column("ID", 8, 8, None),
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
    fn emoji_take_as_many_columns_as_every_terminal_draws() {
        for (text, shown) in [
            ("👩\u{200d}👩\u{200d}👧 👍🏽", "👩👩👧 👍"),
            ("⌚\u{fe0e} ❤\u{fe0f}", "⌚ ❤"),
            ("क्\u{200d}ष", "क्\u{200d}ष"),
        ] {
            assert_eq!(Cell::new(text).text, shown);
            assert_eq!(columns(shown), shown.chars().map(|c| columns(&c.to_string())).sum::<usize>());
        }
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
        for width in [5, 10, 20, 30, 40, 80, 120, 200] {
            let mut text = String::new();
            table().render(width, false, &mut text);
            assert!(text.lines().all(|line| line.width() <= width), "{width}\n{text}");
        }
    }

    #[test]
    fn a_column_without_room_can_stand_below_the_row() {
        let rendered = |width| {
            let mut table = table();
            table
                .columns
                .iter_mut()
                .filter(|column| column.heading == "WHAT")
                .for_each(|column| column.wraps_below = true);
            let mut text = String::new();
            table.render(width, false, &mut text);
            text
        };
        assert_eq!(
            rendered(30),
            "WHEN              ID\n\
             today 15:30       3f2a0c1e\n\
             \u{20} A table for four under the…\n\
             2026-11-02 09:00  77aa\n\
             \u{20} 寿司の予約 🍣 e\u{301}té\n\n\
             \u{20} two lines red\n"
        );
        assert_eq!(rendered(50).lines().count(), 4);
    }

    #[test]
    fn columns_give_way_one_after_the_other() {
        let first_row = |width| {
            let mut text = String::new();
            table().render(width, false, &mut text);
            text.lines().nth(1).expect("a row").to_owned()
        };
        assert_eq!(first_row(39), "today 15:30       A table…     3f2a0c1e");
        assert_eq!(first_row(37), "today 15:30       3f2a0c1e");
        assert_eq!(first_row(25), "3f2a0c1e");
        assert_eq!(first_row(5), "3f2a…");
    }
}
