//! What the program says, in the reader's language. The English text is the key of its translation, as in gettext, whose
//! format the catalogue has. A sentence that was filled in further down is found by the template it was made from, so
//! that nothing but the front end knows of languages.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::sync::LazyLock;

use crate::domain::{Date, Language};

static SPANISH: LazyLock<Catalog> = LazyLock::new(|| Catalog::parse(include_str!("es.po")));

/// What stands for what is filled in.
const HOLE: &str = "{}";

/// A template with fewer letters than this could be anybody's words: it is looked up, and not recognized.
const FEWEST_LETTERS: usize = 8;

/// Those that are recognized all the same.
const SHORT: [&str; 7] = [
    "write {}",
    "write +{}",
    "write {}:00",
    "{} min ago",
    "{} h {} min ago",
    "the path {}",
    "{}, line {}: {}",
];

/// How deep sentences stand in sentences: what is filled in may come from anywhere.
const DEEPEST: usize = 4;

/// The messages of one language.
#[derive(Debug, Clone, Copy)]
pub struct Messages(Option<&'static LazyLock<Catalog>>);

/// Translations by the English text or template.
#[derive(Debug)]
struct Catalog {
    texts: HashMap<String, String>,
    /// Those with something filled in, the most telling first.
    templates: Vec<String>,
}

impl Messages {
    /// The messages in this language.
    pub fn of(language: Language) -> Self {
        Self(match language {
            Language::En => None,
            Language::Es => Some(&SPANISH),
        })
    }

    /// A text of ours; what is not ours stays as it is.
    pub fn translate<'t>(self, text: &'t str) -> Cow<'t, str> {
        match self.0 {
            Some(catalog) => catalog.translate(text, 0),
            None => Cow::Borrowed(text),
        }
    }

    /// A template of ours, filled in with these values in their order.
    pub fn fill(self, template: &str, values: &[&dyn Display]) -> String {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        fill(self.0.and_then(|catalog| catalog.texts.get(template)).map_or(template, String::as_str), &values)
    }

    /// A number to one decimal.
    pub fn decimal(self, n: f64) -> String {
        let english = format!("{n:.1}");
        if self.0.is_some() { english.replace('.', ",") } else { english }
    }

    /// A date in words: `Thursday 28 January 2027`, `jueves 28 de enero de 2027`.
    pub fn date(self, date: Date) -> String {
        self.translate(&date.in_words()).into_owned()
    }
}

impl Catalog {
    fn parse(po: &str) -> Self {
        let mut entries: Vec<[String; 2]> = Vec::new();
        let mut member = 0;
        for line in po.lines() {
            let quoted = match line.split_once(' ') {
                Some(("msgid", quoted)) => {
                    entries.push(Default::default());
                    member = 0;
                    quoted
                }
                Some(("msgstr", quoted)) => {
                    member = 1;
                    quoted
                }
                _ if line.starts_with('"') => line,
                _ => continue,
            };
            // The escapes are those of JSON.
            if let (Ok(text), Some(entry)) = (serde_json::from_str::<String>(quoted), entries.last_mut()) {
                entry[member] += &text;
            }
        }
        // The entry without a text describes the file.
        let texts: HashMap<String, String> =
            entries.into_iter().map(Into::into).filter(|(text, _): &(String, _)| !text.is_empty()).collect();
        let mut templates: Vec<String> = texts
            .keys()
            .filter(|text| text.contains(HOLE))
            .filter(|text| letters(text) >= FEWEST_LETTERS || SHORT.contains(&text.as_str()))
            .cloned()
            .collect();
        templates.sort_by_cached_key(|template| (std::cmp::Reverse(letters(template)), template.clone()));
        Self { texts, templates }
    }

    fn translate<'t>(&'static self, text: &'t str, depth: usize) -> Cow<'t, str> {
        if let Some(translation) = self.texts.get(text) {
            return Cow::Borrowed(translation);
        }
        let found = self.templates.iter().find_map(|template| Some((template, values(template, text)?)));
        match found.filter(|_| depth < DEEPEST) {
            Some((template, values)) => {
                let values: Vec<String> =
                    values.into_iter().map(|value| self.translate(value, depth + 1).into_owned()).collect();
                Cow::Owned(fill(self.texts.get(template).unwrap_or(template), &values))
            }
            None => self.date(text).map_or(Cow::Borrowed(text), Cow::Owned),
        }
    }

    /// A text that is a date in words, with or without a time of day behind it.
    fn date(&self, text: &str) -> Option<String> {
        let (date, time) = text.split_at(text.find(',').unwrap_or(text.len()));
        let words: Vec<&str> = date.split(' ').collect();
        let [weekday, day, month, year] = words[..] else { return None };
        let (weekday, month) = (self.texts.get(weekday)?, self.texts.get(month)?);
        Some(format!("{weekday} {day} de {month} de {year}{time}"))
    }
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphabetic()).count()
}

/// What was filled into a template to make this text, where it was made from it.
fn values<'t>(template: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut pieces = template.split(HOLE);
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut pieces: Vec<&str> = pieces.collect();
    rest = rest.strip_suffix(pieces.pop()?)?;
    let mut values = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        let (value, behind) = rest.split_once(piece)?;
        values.push(value);
        rest = behind;
    }
    values.push(rest);
    Some(values)
}

/// Puts values where the holes are: in their order, or where a hole has a number, by that.
fn fill(template: &str, values: &[String]) -> String {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut next = 0..;
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let (number, behind) = behind.split_once('}').unwrap_or((behind, ""));
        let value = if number.is_empty() { next.next() } else { number.parse().ok() };
        match value.and_then(|at: usize| values.get(at)) {
            Some(value) => filled.push_str(value),
            // Braces of the text itself. Writing to a string cannot fail.
            None => _ = write!(filled, "{{{number}}}"),
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests;
