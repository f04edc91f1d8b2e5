use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use proptest::prelude::*;

use super::*;

const ENGLISH: Messages = Messages(None);

fn spanish() -> Messages {
    Messages::of(Language::Es)
}

/// Files whose texts no person reads through the command line: those of agents and browsers, the emulator's, tests'.
const ELSEWHERE: &[&str] = &[
    "/mcp/",
    "/sandbox/",
    "/fuzzing/",
    "help_json.rs",
    "auth/page.rs",
    "tests.rs",
    "model.rs",
    "arbitrary_responses.rs",
    "captured.rs",
    "state/plan.rs",
];

/// Texts of several words that are said to nobody, or the same in every language.
const UNTRANSLATED: &[&str] = &[
    "[{} more bytes]",
    "the newest: {}",
    "every command",
    "el proximo ",
    "pasado manana",
    "day after tomorrow",
    " day ago",
    " days ago",
    "dentro de ",
    "the day after tomorrow",
    " in the morning",
    " in the afternoon",
    " in the evening",
    " at night",
    " de la madrugada",
    " de la mañana",
    " de la tarde",
    " de la noche",
    "~/Library/Application Support/kallyai",
    "~/Library/Application Support/kallyai/config",
];

/// What reaches the reader by another way than as a literal: names of days and months, the API's
/// statuses in words, the groups of flags.
const NAMES: &[&str] = &[
    "Mon Tue Wed Thu Fri Sat Sun Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May",
    "June July August September October November December no answer in progress active",
    "Place a call, Read, Account, More, Everywhere",
    "NUMBER TEXT DATE TIME KIND NAME FILE LANG STATUS SECONDS PORT ZONE KEY METHOD PATH WHEN ADDR",
    "monthly, yearly",
];

/// The string literals of the program and the help of its flags, with `{}` for each thing filled in.
fn literals() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            let name = entry.to_string_lossy().replace('\\', "/");
            if ELSEWHERE.iter().any(|part| format!("{name}/").contains(part)) {
                continue;
            }
            if entry.is_dir() {
                folders.push(entry);
            } else if name.ends_with(".rs") {
                let source = std::fs::read_to_string(&entry).expect("a source file");
                collect(source.parse().expect("Rust"), &mut found);
                if name.ends_with("cli/args.rs") {
                    // What is said of a flag is its help; what is said of a function is not.
                    let functions = |part| str::split_once(part, "\n}\n").map_or("", |(_, rest)| rest);
                    let (flags, rest) = source.split_once("\nimpl ").unwrap_or((&source, ""));
                    let lines =
                        flags.lines().chain(rest.split("\nimpl ").flat_map(|part| functions(part).lines()));
                    found.extend(lines.filter_map(|line| line.strip_prefix("    /// ")).map(str::to_owned));
                }
            }
        }
    }
    found
}

fn collect(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).map(|at| tokens[at].to_string()).unwrap_or_default();
        match token {
            // Of attributes only the messages of errors.
            TokenTree::Group(group) if before(1) == "#" || before(2) + &before(1) == "#!" => {
                if group.stream().to_string().starts_with("error") {
                    collect(group.stream(), found);
                }
            }
            TokenTree::Group(_) if before(2) + &before(1) == "modtests" => {}
            TokenTree::Group(group) => collect(group.stream(), found),
            TokenTree::Literal(literal) => found.extend(template(&literal.to_string())),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// The template that a string literal is, as the catalogue writes it.
fn template(literal: &str) -> Option<String> {
    let text = unescape(literal.strip_prefix('"')?.strip_suffix('"')?);
    let mut normal = String::new();
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once('{') {
        normal += before;
        match behind.split_once('}').filter(|(inside, _)| !inside.contains('"')) {
            Some((_, behind)) => {
                normal += HOLE;
                rest = behind;
            }
            // A brace of the text itself.
            None => {
                normal.push('{');
                rest = behind;
            }
        }
    }
    Some(normal + rest)
}

fn unescape(literal: &str) -> String {
    let mut text = String::new();
    let mut rest = literal;
    while let Some((before, behind)) = rest.split_once('\\') {
        text += before;
        let mut letters = behind.chars();
        rest = match letters.next() {
            Some('\n') => behind.trim_start(),
            Some('n') => {
                text.push('\n');
                letters.as_str()
            }
            Some(escaped) => {
                text.push(escaped);
                letters.as_str()
            }
            None => "",
        };
    }
    text + rest
}

/// Whether a text says something: two words beside each other.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_alphabetic() && !c.is_uppercase());
    text.split([' ', '\n']).collect::<Vec<_>>().windows(2).any(|pair| pair.iter().all(|word| is_word(word)))
}

#[test]
fn every_sentence_has_its_spanish() {
    let missing: Vec<String> = literals()
        .into_iter()
        .filter(|text| is_sentence(text) && !UNTRANSLATED.contains(&text.as_str()))
        .filter(|text| !SPANISH.texts.contains_key(text))
        .collect();
    assert!(missing.is_empty(), "add these to src/output/es.po: {missing:#?}");
}

#[test]
fn nothing_is_translated_that_is_never_said() {
    let said = literals();
    let stale: Vec<&String> = SPANISH
        .texts
        .keys()
        .filter(|text| !said.contains(*text))
        .filter(|text| !NAMES.iter().any(|names| names.contains(text.as_str())))
        .collect();
    assert!(stale.is_empty(), "nobody says these any more: {stale:#?}");
}

#[test]
fn every_translation_is_filled_in_with_the_same_values() {
    for (text, translation) in &SPANISH.texts {
        let values: Vec<String> = (0..text.matches(HOLE).count()).map(|n| format!("⟨{n}⟩")).collect();
        let filled = fill(translation, &values);
        for value in &values {
            assert!(filled.contains(value.as_str()), "{text:?} loses {value} in {translation:?}");
        }
        assert!(!translation.is_empty(), "{text:?}");
    }
}

#[test]
fn a_sentence_is_recognized_whatever_was_filled_in() {
    for (english, translation) in [
        ("Signed in.", "Sesión iniciada."),
        ("there is no flag --foo", "no existe la opción --foo"),
        (
            "the login could not be renewed: localhost did not answer in time",
            "el acceso no se pudo renovar: localhost no respondió a tiempo",
        ),
        ("the service says: kein Anschluss", "the service says: kein Anschluss"),
        // Too little of it is ours.
        ("from heaven", "from heaven"),
        ("today and tomorrow", "today and tomorrow"),
    ] {
        assert_eq!(spanish().translate(english), translation);
        assert_eq!(ENGLISH.translate(english), english);
    }
}

#[test]
fn dates_are_in_words() {
    let date: Date = "2027-01-28".parse().expect("a date");
    assert_eq!(ENGLISH.date(date), "Thursday 28 January 2027");
    assert_eq!(spanish().date(date), "jueves 28 de enero de 2027");
}

#[test]
fn values_stand_where_the_language_wants_them() {
    let values = ["a", "b"].map(String::from);
    assert_eq!(fill("{} of {}", &values), "a of b");
    assert_eq!(fill("{1}, {0}, {0}", &values), "b, a, a");
    assert_eq!(fill("{} {} {} {x} {", &values), "a b {} {x} {}");
    assert_eq!(ENGLISH.fill("{} left", &[&3]), "3 left");
    assert_eq!(spanish().fill("{} left", &[&3]), "quedan 3");
}

proptest! {
    #[test]
    fn no_text_breaks_the_translation(text in "\\PC{0,80}", at in 0..SPANISH.templates.len()) {
        prop_assert_eq!(ENGLISH.translate(&text), &*text);
        let nested = SPANISH.templates[at].replace(HOLE, &text);
        for text in [&text, &nested] {
            let _ = spanish().translate(text);
        }
    }
}
