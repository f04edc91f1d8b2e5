//! Keeping the run's secrets out of what is printed, even where the service repeats them, and however it spells them.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use memchr::memmem::Finder;

/// What stands in the place of a secret.
const REDACTED: &[u8] = b"[redacted]";

/// What is shorter, in bytes, may be an ordinary word, and is left alone.
const LEAST: usize = 16;

/// More secrets than a run meets; the oldest gives way.
const MOST: usize = 256;

/// What an escape begins with, layer below layer: JSON inside JSON, with a query inside. One at a time, as what one kind
/// leaves may be taken for the other.
const LAYERS: [u8; 4] = [b'\\', b'%', b'\\', b'%'];

/// The secrets of this run.
static KNOWN: Mutex<Vec<Finder<'static>>> = Mutex::new(Vec::new());

/// The length of the shortest of them: a text that is shorter holds none, and most are.
static SHORTEST: AtomicUsize = AtomicUsize::new(usize::MAX);

fn known() -> MutexGuard<'static, Vec<Finder<'static>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on this text is replaced in all that is printed.
pub(super) fn remember(secret: &str) {
    let mut known = known();
    if secret.len() < LEAST || known.iter().any(|finder| finder.needle() == secret.as_bytes()) {
        return;
    }
    if known.len() == MOST {
        known.remove(0);
    }
    known.push(Finder::new(secret).into_owned());
    SHORTEST.fetch_min(secret.len(), Ordering::Relaxed);
}

/// The secrets that are known by now, for another process of this run that prints: never for a file.
pub fn known_secrets() -> Vec<String> {
    let text = |finder: &Finder<'_>| String::from_utf8_lossy(finder.needle()).into_owned();
    known().iter().map(text).collect()
}

/// A text without the secrets of this run.
pub fn redact(text: &str) -> Cow<'_, str> {
    match without(text.as_bytes(), false) {
        Some(redacted) => Cow::Owned(String::from_utf8_lossy(&redacted).into_owned()),
        None => Cow::Borrowed(text),
    }
}

/// Bytes without the secrets of this run.
pub fn redact_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    without(bytes, false).map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// What stands between the quotes of a JSON string, without the secrets of this run. It can stand there still.
pub fn redact_json(content: &[u8]) -> Cow<'_, [u8]> {
    without(content, true).map_or(Cow::Borrowed(content), Cow::Owned)
}

/// The bytes without secrets, if there were any in them. What is JSON is searched only for what it means: as it stands,
/// an escape could be cut in two.
fn without(bytes: &[u8], is_json: bool) -> Option<Vec<u8>> {
    if bytes.len() < SHORTEST.load(Ordering::Relaxed) {
        return None;
    }
    let known = known();
    let mut redacted = None;
    // Each time it becomes shorter.
    while let Some(again) = replaced(redacted.as_deref().unwrap_or(bytes), is_json, &known) {
        redacted = Some(again);
    }
    redacted
}

/// The bytes with those secrets replaced that show when as few layers of escapes as possible are read; `None` if there
/// are none.
fn replaced(bytes: &[u8], is_json: bool, known: &[Finder<'_>]) -> Option<Vec<u8>> {
    let holds = |read: &[u8]| known.iter().any(|finder| finder.find(read).is_some());
    let mut read = Cow::Borrowed(bytes);
    for (layer, kind) in LAYERS.into_iter().enumerate() {
        let unescaped = unescape(&read, kind, None);
        let is_cut = is_json && layer == 0 && unescaped.is_some();
        if (layer == 0 || matches!(read, Cow::Owned(_))) && !is_cut && holds(&read) {
            return Some(replaced_at(bytes, layer, known));
        }
        if let Some((unescaped, _)) = unescaped {
            read = Cow::Owned(unescaped);
        }
    }
    (matches!(read, Cow::Owned(_)) && holds(&read)).then(|| replaced_at(bytes, LAYERS.len(), known))
}

fn replaced_at(bytes: &[u8], layers: usize, known: &[Finder<'_>]) -> Vec<u8> {
    let mut read = bytes.to_vec();
    let mut origins: Vec<usize> = (0..=bytes.len()).collect();
    for kind in LAYERS.into_iter().take(layers) {
        if let Some(unescaped) = unescape(&read, kind, Some(&origins)) {
            (read, origins) = unescaped;
        }
    }
    let origin = |at: usize| origins.get(at).copied().unwrap_or(bytes.len());
    let mut found: Vec<(usize, usize)> = known
        .iter()
        .flat_map(|finder| finder.find_iter(&read).map(|at| (origin(at), origin(at + finder.needle().len()))))
        .collect();
    found.sort_unstable();
    let mut redacted = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    for (start, end) in found {
        // One that begins inside another goes with it.
        if start >= copied {
            redacted.extend_from_slice(bytes.get(copied..start).unwrap_or_default());
            redacted.extend_from_slice(REDACTED);
        }
        copied = copied.max(end);
    }
    redacted.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    redacted
}

/// Stands for a character that no secret holds.
const OTHER: u8 = 0xff;

/// What bytes mean when the escapes of a kind are read: those of URLs, or those of JSON and of iCalendar, whose folded
/// lines are joined; with `origins`, where each byte read came from, and the end. `None` if there are no escapes.
fn unescape(bytes: &[u8], kind: u8, origins: Option<&[usize]>) -> Option<(Vec<u8>, Vec<usize>)> {
    let mut read = Vec::new();
    let mut from = Vec::new();
    let mut copied = 0;
    let keep = |range: std::ops::Range<usize>, read: &mut Vec<u8>, from: &mut Vec<usize>| {
        read.extend_from_slice(bytes.get(range.clone()).unwrap_or_default());
        from.extend_from_slice(origins.and_then(|origins| origins.get(range)).unwrap_or_default());
    };
    let mut search = 0;
    while let Some(at) = bytes
        .get(search..)
        .and_then(|rest| memchr::memchr2(kind, if kind == b'%' { kind } else { b'\n' }, rest))
    {
        let at = search + at;
        let Some((meaning, length)) = escape(bytes.get(at..).unwrap_or_default()) else {
            search = at + 1;
            continue;
        };
        let is_fold = meaning.is_none();
        let folds_return = is_fold && at > copied && bytes.get(at - 1) == Some(&b'\r');
        keep(copied..at - usize::from(folds_return), &mut read, &mut from);
        if let Some(meaning) = meaning {
            read.push(meaning);
            from.extend(origins.and_then(|origins| origins.get(at)));
        }
        copied = at + length;
        search = copied;
    }
    if copied == 0 {
        return None;
    }
    keep(copied..bytes.len(), &mut read, &mut from);
    from.extend(origins.and_then(|origins| origins.last()));
    Some((read, from))
}

/// The byte that an escape at the beginning means, nothing for a fold, and the escape's length.
fn escape(rest: &[u8]) -> Option<(Option<u8>, usize)> {
    let hex = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let byte = |code: u32| u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(OTHER);
    match rest {
        [b'\\', b'u', a, b, c, d, ..] => Some((Some(byte(hex(&[*a, *b, *c, *d])?)), 6)),
        [b'\\', b'n' | b'N' | b'r' | b't' | b'b' | b'f', ..] => Some((Some(b' '), 2)),
        [b'\\', c, ..] if c.is_ascii_punctuation() => Some((Some(*c), 2)),
        [b'%', a, b, ..] => Some((Some(byte(hex(&[*a, *b])?)), 3)),
        [b'\n', b' ' | b'\t', ..] => Some((None, 2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of this file's tests alone, as all of them share one list.
    const SECRET: &str = "eyJhbGci/OiJIUzI1+NiJ9.redact_rs";

    fn redacted(text: &str) -> String {
        remember(SECRET);
        redact(text).into_owned()
    }

    #[test]
    fn a_secret_is_replaced_wherever_it_stands_and_whatever_stands_beside_it() {
        assert_eq!(
            redacted(&format!("{SECRET}, ({SECRET})é{SECRET}")),
            "[redacted], ([redacted])é[redacted]"
        );
        for other in ["", "short", "a text that is longer than the shortest of the secrets", &SECRET[1..]] {
            assert!(matches!(redact(other), Cow::Borrowed(_)), "{other}");
        }
    }

    #[test]
    fn a_secret_is_known_in_every_spelling() {
        let slashes = SECRET.replace('/', "\\/");
        let digits: String = SECRET.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect();
        let query = SECRET.replace('/', "%2F").replace('+', "%2b");
        let twice = slashes.replace('\\', "\\\\");
        let folded = SECRET.replace("OiJ", "O\r\n iJ");
        let folded_barely = SECRET.replace("OiJ", "O\n\tiJ");
        let mixed = format!("{SECRET} and {slashes}");
        for spelled in [&slashes, &digits, &query, &twice, &folded, &folded_barely] {
            assert_eq!(redacted(&format!("é\\n {spelled}\\")), "é\\n [redacted]\\", "{spelled}");
        }
        assert_eq!(redacted(&mixed), "[redacted] and [redacted]");
    }

    #[test]
    fn no_escape_of_a_json_string_is_cut_in_two() {
        remember("nobody_may_see_this");
        for (content, expected) in [
            ("\\nobody_may_see_this", "\\nobody_may_see_this"),
            ("\\nnobody_may_see_this", "\\n[redacted]"),
            ("\\\\nobody_may_see_this\\\"", "\\\\[redacted]\\\""),
            ("nobody_may_see_this\\u00e9", "[redacted]\\u00e9"),
            ("\\ud83d\\ude00nobody\\u005fmay_see_this", "\\ud83d\\ude00[redacted]"),
        ] {
            assert_eq!(String::from_utf8_lossy(&redact_json(content.as_bytes())), expected, "{content}");
        }
    }

    #[test]
    fn a_secret_inside_another_goes_with_it() {
        remember("inside_of_another_one");
        remember("it stands inside_of_another_one here");
        assert_eq!(redact("x it stands inside_of_another_one here y"), "x [redacted] y");
    }

    proptest! {
        #[test]
        fn what_is_left_is_json_and_holds_no_secret(
            parts in proptest::collection::vec(
                prop_oneof![
                    any::<String>(),
                    Just(SECRET.to_owned()),
                    Just("\\".to_owned()),
                    Just("%5C".to_owned()),
                ],
                0..6,
            ),
            as_digits in any::<bool>(),
        ) {
            remember(SECRET);
            let text = parts.concat();
            let raw = if as_digits {
                text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
            } else {
                let quoted = serde_json::to_string(&text).expect("JSON");
                quoted[1..quoted.len() - 1].replace('/', "\\/")
            };
            let left = redact_json(raw.as_bytes()).into_owned();
            let json = format!("\"{}\"", String::from_utf8(left).expect("UTF-8"));
            let meant: String = serde_json::from_str(&json).expect("JSON");
            prop_assert!(!meant.contains(SECRET), "{meant}");
            prop_assert!(!redact(&text).contains(SECRET));
        }
    }
}
