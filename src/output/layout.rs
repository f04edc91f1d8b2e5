//! Renders a document as text. On a terminal it is wrapped to the terminal's width.

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};
use unicode_width::UnicodeWidthChar as _;

use super::clean::{clean, one_line};
use super::terminal::TermInfo;
use super::{json, table};
use crate::view::{Block, Doc};

/// Maximum width of wrapped text, in columns. Longer lines are hard to read.
const MAX_PROSE: usize = 100;
/// Spaces between a label and its value, and between the columns of a table.
pub(super) const GAP: usize = 2;

/// The parameter of an SGR escape sequence, which sets the color or weight of text.
pub(super) type Tone = &'static str;
pub(super) const PLAIN: Tone = "";
pub(super) const STRONG: Tone = "1";
pub(super) const FAINT: Tone = "2";
pub(super) const BAD: Tone = "31";
const GOOD: Tone = "32";

impl Doc {
    /// Renders cleaned plain text without wrapping or colors, as MCP returns it.
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
    screen: TermInfo,
    pub text: String,
}

impl Page {
    pub fn new(screen: TermInfo) -> Self {
        let text = String::new();
        Self { screen, text }
    }

    pub fn block(&mut self, block: &Block) {
        match block {
            Block::Line(text) => self.paragraph("", PLAIN, GAP, text),
            Block::Fields(fields) => self.pairs(fields),
            Block::Talk(turns) => self.pairs(turns),
            Block::Table(table) => table::render(table, self.screen, &mut self.text),
            Block::Status { status, id } => {
                let (status, tone) = match self.screen.width {
                    Some(_) => marked(status),
                    None => (one_line(status), PLAIN),
                };
                paint(&mut self.text, self.screen.color, tone, &status);
                self.end_line(&format!("  {}", one_line(id)));
            }
            Block::Copy(text) => self.end_line(&one_line(text)),
            Block::Hint { text, command } => {
                if self.screen.width.is_some() {
                    self.paragraph("", PLAIN, GAP, text);
                    command.iter().for_each(|command| self.command(command));
                }
            }
            Block::Raw(bytes) => self.raw(&String::from_utf8_lossy(bytes)),
        }
    }

    /// Appends a command on a line of its own.
    pub fn command(&mut self, command: &str) {
        self.end_line(&format!("  {}", one_line(command)));
    }

    /// Appends a column of labels and, next to it, their texts.
    fn pairs(&mut self, pairs: &[(impl AsRef<str>, String)]) {
        let most = self.screen.width.map_or(usize::MAX, |width| width / 2);
        let label = |label: &str| shorten(&one_line(label), most);
        let labels: Vec<String> = pairs.iter().map(|pair| label(pair.0.as_ref())).collect();
        let widths = labels.iter().map(|label| display_width(label));
        let indent = widths.max().unwrap_or_default() + GAP;
        for (label, (_, text)) in labels.iter().zip(pairs) {
            self.paragraph(&padded(label, indent), FAINT, indent, text);
        }
    }

    /// Appends a label and its text. Indents every line after the first, so untrusted text cannot
    /// imitate a line of our own output.
    pub fn paragraph(&mut self, label: &str, tone: Tone, indent: usize, text: &str) {
        let columns = |width: usize| width.min(MAX_PROSE).saturating_sub(indent).max(1);
        let lines = wrapped(text, self.screen.width.map(columns));
        let margin = " ".repeat(indent);
        for (n, line) in lines.iter().enumerate() {
            let lead = if n == 0 { label } else { &margin };
            let lead = match line.is_empty() {
                true => lead.trim_end(),
                false => lead,
            };
            paint(&mut self.text, self.screen.color, tone, lead);
            self.end_line(line);
        }
    }

    /// Appends raw text. On a terminal, JSON is indented.
    fn raw(&mut self, text: &str) {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if self.screen.width.is_some() && is_json {
            self.end_line(&json::indented(text));
        } else {
            self.end_line(clean(text).trim_end_matches('\n'));
        }
    }

    fn end_line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// Formats a status for people as a mark and words. The mark also works without color.
pub(super) fn marked(status: &str) -> (String, Tone) {
    let (mark, tone) = match status {
        "success" => ('✓', GOOD),
        "failed" => ('✗', BAD),
        _ => ('·', STRONG),
    };
    let words = one_line(status).replace(['_', '-'], " ");
    (format!("{mark} {words}"), tone)
}

pub(super) fn paint(to: &mut String, color: bool, tone: Tone, text: &str) {
    if color && tone != PLAIN && !text.trim().is_empty() {
        to.extend(["\u{1b}[", tone, "m", text, "\u{1b}[0m"]);
    } else {
        to.push_str(text);
    }
}

/// Cleans a text and splits it into lines, wrapped if there is a width.
fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let cleaned = clean(text);
    let lines = cleaned.trim_end_matches('\n').split('\n');
    let Some(width) = width else {
        return lines.map(str::to_owned).collect();
    };
    // Never break a phone number or an ID at its hyphens.
    let options = Options::new(width).word_splitter(WordSplitter::NoHyphenation);
    let wrapped = lines.flat_map(|line| textwrap::wrap(line, &options));
    wrapped.map(|line| line.into_owned()).collect()
}

/// Truncates a cleaned line to at most `most` columns. Cuts between words if that keeps more than
/// half of the text that fits.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if display_width(text) <= most {
        return text.to_owned();
    }
    let mut width = 0;
    let cut = text.char_indices().find(|(_, c)| {
        width += c.width().unwrap_or_default();
        width >= most
    });
    let (kept, rest) = text.split_at(cut.map_or(0, |(at, _)| at));
    let word_end = kept.rfind(' ').filter(|end| end * 2 > kept.len());
    let end = word_end.filter(|_| !rest.starts_with(' '));
    let kept = kept.split_at(end.unwrap_or(kept.len())).0;
    kept.trim_end().to_owned() + "…"
}

pub(super) fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(display_width(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::output::clean::is_unsafe;

    const ODD: &str = "[a-z \\-\n\t\r\u{1b}\u{202e}\u{200d}\u{2028}寿司🍕é\u{301}ل]{0,200}";

    fn on_terminal(block: Block, width: usize) -> String {
        let screen = TermInfo {
            width: Some(width),
            color: false,
        };
        Doc {
            blocks: vec![block],
        }
        .render(screen)
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
                Block::Fields(vec![("Result", text.clone())]),
                Block::Talk(vec![(format!("x{label}"), text.clone())]),
                Block::Status { status: text.clone(), id: label.clone() },
                Block::Copy(text.clone()),
            ] {
                let plain = Doc { blocks: vec![block.clone()] }.to_text();
                let is_copy = matches!(block, Block::Status { .. } | Block::Copy(_));
                let shown = on_terminal(block, width);
                prop_assert!(is_indented(&plain) && is_indented(&shown), "{plain}\n{shown}");
                prop_assert!(!shown.chars().any(|c| c != '\n' && is_unsafe(c)));
                let fits = shown.lines().all(|line| display_width(line) <= width);
                prop_assert!(is_copy || fits, "{width}\n{shown}");
            }
        }

        #[test]
        fn shortened_text_fits(text in "[a-z 寿🍕é\u{301}]{0,60}", most in 1_usize..40) {
            let shown = shorten(&text, most);
            prop_assert!(display_width(&shown) <= most);
            prop_assert!(shown == text || shown.ends_with('…'));
        }
    }

    #[test]
    fn wrapped_values_stay_in_their_column() {
        let said = "They have a table for four at eight.\n+15551234567 3f2a0c1e-55aa-4bbb";
        let fields = Block::Fields(vec![
            ("Called", "寿司寿司寿司寿司寿司寿司".into()),
            ("Result", said.into()),
        ]);
        let lines = [
            "Called  寿司寿司寿司寿司寿司",
            "        寿司",
            "Result  They have a table for",
            "        four at eight.",
            "        +15551234567",
            "        3f2a0c1e-55aa-4bbb",
        ];
        assert_eq!(
            on_terminal(fields.clone(), 29).lines().collect::<Vec<_>>(),
            lines
        );
        let text = Doc {
            blocks: vec![fields],
        }
        .to_text();
        assert!(
            text.ends_with("eight.\n        +15551234567 3f2a0c1e-55aa-4bbb"),
            "{text}"
        );
    }

    #[test]
    fn marks_hints_and_indented_json_need_a_terminal() {
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
            Doc { blocks }.to_text(),
            "{\"a\":[1.0,\"\"]}\nno_answer  5e1e-55aa"
        );
    }
}
