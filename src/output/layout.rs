//! Renders a view as text. On a terminal, the text is wrapped to the terminal's width.

use console::Style;
use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

use super::clean::{clean, one_line};
use super::terminal::TermInfo;
use super::{json, table};
use crate::view::{Block, View};

/// Maximum width of wrapped text, in columns. Longer lines are hard to read.
const MAX_PROSE: usize = 100;
/// Spaces between a label and its value, and between the columns of a table.
pub(super) const GAP: usize = 2;

const PLAIN: Style = Style::new();
pub(super) const STRONG: Style = PLAIN.bold();
pub(super) const FAINT: Style = PLAIN.dim();
pub(super) const BAD: Style = PLAIN.red();
const GOOD: Style = PLAIN.green();

impl View {
    /// Renders the view as cleaned text without wrapping or colors, for files and MCP.
    pub fn to_text(&self) -> String {
        self.render(TermInfo::PLAIN).trim_end().to_owned()
    }

    pub(super) fn render(&self, screen: TermInfo) -> String {
        let mut page = Page::new(screen);
        self.blocks.iter().for_each(|block| page.block(block));
        page.text
    }
}

pub(super) struct Page {
    pub screen: TermInfo,
    pub text: String,
}

impl Page {
    pub fn new(screen: TermInfo) -> Self {
        let text = String::new();
        Self { screen, text }
    }

    pub fn block(&mut self, block: &Block) {
        match block {
            Block::Line(text) => self.paragraph("", PLAIN, &one_line(text)),
            Block::Fields(fields) => self.fields(fields),
            Block::Table(table) => table::render(table, self),
            Block::Status { status, id } => {
                let status = self.status(status);
                self.end_line(&format!("{status}  {}", one_line(id)));
            }
            Block::Copy(text) => self.end_line(&one_line(text)),
            Block::Hint { text, command } => {
                if self.screen.width.is_some() {
                    self.paragraph("", PLAIN, &one_line(text));
                    command.iter().for_each(|command| self.command(command));
                }
            }
            Block::Raw(bytes) => self.raw(&String::from_utf8_lossy(bytes)),
        }
    }

    /// Appends an indented command on its own line.
    pub fn command(&mut self, command: &str) {
        self.end_line(&format!("  {}", one_line(command)));
    }

    /// Appends labels and their values in two columns.
    pub fn fields(&mut self, fields: &[(String, String)]) {
        if !self.text.is_empty() {
            self.end_line("");
        }
        let max_label = self.screen.width.map_or(usize::MAX, |width| width / 2);
        let label = |field: &(String, String)| shorten(&one_line(&field.0), max_label);
        let labels: Vec<String> = fields.iter().map(label).collect();
        let widths = labels.iter().map(|label| display_width(label));
        let width = widths.max().unwrap_or_default() + GAP;
        for (label, (_, text)) in labels.iter().zip(fields) {
            self.paragraph(&padded(label, width), FAINT, text);
        }
    }

    /// Appends a label and its text. Indents every line after the first, so that untrusted text
    /// cannot imitate a line of our own output.
    pub fn paragraph(&mut self, label: &str, style: Style, text: &str) {
        let margin = " ".repeat(display_width(label).max(GAP));
        let label = self.painted(style, label);
        let width = self.screen.width.map_or(usize::MAX, |it| it.min(MAX_PROSE));
        // Do not wrap at hyphens, so that phone numbers and IDs stay in one piece.
        let options = Options::new(width)
            .initial_indent(&label)
            .subsequent_indent(&margin)
            .word_splitter(WordSplitter::NoHyphenation);
        for line in textwrap::wrap(clean(text).trim_end_matches('\n'), options) {
            self.end_line(line.trim_end());
        }
    }

    /// Appends text of any format. On a terminal, indents it if it is JSON.
    fn raw(&mut self, text: &str) {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if self.screen.width.is_some() && is_json {
            self.end_line(&json::indented(text));
        } else {
            self.end_line(clean(text).trim_end_matches('\n'));
        }
    }

    pub fn end_line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Formats a call status. On a terminal, adds a symbol such as ✓, so that the meaning does not
    /// depend on color.
    pub fn status(&self, status: &str) -> String {
        let (mark, style) = match status {
            "success" => ('✓', GOOD),
            "failed" => ('✗', BAD),
            _ => ('·', STRONG),
        };
        let name = one_line(status);
        match self.screen.width {
            Some(_) => self.painted(style, &format!("{mark} {}", name.replace(['_', '-'], " "))),
            None => name,
        }
    }

    /// Applies a style to text, but not to trailing spaces.
    pub fn painted(&self, style: Style, text: &str) -> String {
        let words = text.trim_end();
        let style = style.force_styling(self.screen.color && !words.is_empty());
        format!("{}{}", style.apply_to(words), &text[words.len()..])
    }
}

/// Shortens a cleaned line to at most `max_width` columns.
pub(super) fn shorten(text: &str, max_width: usize) -> String {
    if display_width(text) <= max_width {
        return text.to_owned();
    }
    let mut width = 0;
    let fits = |c: &char| {
        width += display_width(c.encode_utf8(&mut [0; 4]));
        width < max_width
    };
    let kept: String = text.chars().take_while(fits).collect();
    kept.trim_end().to_owned() + "…"
}

pub(super) fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(display_width(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::output::clean::is_unsafe;

    const ODD: &str = "[a-z \\-\n\t\r\u{1b}\u{202e}\u{200d}\u{2028}寿司🍕é\u{301}ل]{0,200}";

    fn shown(blocks: Vec<Block>) -> View {
        View::own(Value::Null, blocks)
    }

    fn on_terminal(block: Block, width: usize) -> String {
        let screen = TermInfo {
            width: Some(width),
            color: false,
        };
        shown(vec![block]).render(screen)
    }

    fn is_indented(text: &str) -> bool {
        let mut rest = text.lines().skip(1);
        rest.all(|line| line.is_empty() || line.starts_with("  "))
    }

    proptest! {
        #[test]
        fn untrusted_text_never_starts_a_line(text in ODD, label in ODD, width in 20_usize..120) {
            for block in [
                Block::Line(format!("x{text}")),
                Block::Fields(vec![(format!("x{label}"), text.clone())]),
                Block::Status { status: text.clone(), id: label.clone() },
                Block::Copy(text.clone()),
            ] {
                let plain = shown(vec![block.clone()]).to_text();
                let is_copy = matches!(block, Block::Status { .. } | Block::Copy(_));
                let shown = on_terminal(block, width);
                prop_assert!(is_indented(&plain) && is_indented(&shown), "{plain}\n{shown}");
                prop_assert!(!shown.chars().any(|c| c != '\n' && is_unsafe(c)));
                let fits = shown.lines().all(|line| display_width(line) <= width);
                prop_assert!(is_copy || fits, "{width}\n{shown}");
            }
        }

    }

    #[test]
    fn only_terminals_get_marks_hints_and_indented_json() {
        let (status, id) = ("no_answer".into(), "5e1e-55aa".into());
        let (text, command) = ("Try:".into(), Some("kallyai -h".into()));
        let raw = b"{\"a\":[1.0,\"\xe2\x80\xae\"]}\n".to_vec();
        let blocks = vec![
            Block::Raw(raw),
            Block::Hint { text, command },
            Block::Status { status, id },
        ];
        let shown: String = blocks
            .iter()
            .map(|block| on_terminal(block.clone(), 80))
            .collect();
        let expected = "{\n  \"a\": [\n    1.0,\n    \"\\u202e\"\n  ]\n}\nTry:\n  kallyai -h\n· no answer  5e1e-55aa\n";
        assert_eq!(shown, expected);
        assert_eq!(
            View::own(Value::Null, blocks).to_text(),
            "{\"a\":[1.0,\"\"]}\nno_answer  5e1e-55aa"
        );
    }
}
