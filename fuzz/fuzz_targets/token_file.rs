//! The login's file, which other clients write too.
//!
//! The first bytes of an input say what the login is renewed with; the rest is the file.

#![no_main]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use kallyai::fuzzing::token_file::{LARGEST_FILE, Seen, read, renewed, renewed_in, rewritten, written_over};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

const OURS: [&str; 4] = ["access_token", "refresh_token", "expires_at", "issuer"];
/// The service whose logins need not say so.
const PRODUCTION: &str = "https://api.kallyai.com";
const LIFETIMES: [Option<f64>; 8] =
    [None, Some(3600.0), Some(0.0), Some(-1.0), Some(0.5), Some(1e300), Some(f64::MIN_POSITIVE), Some(61.0)];

type Members = BTreeMap<String, Box<RawValue>>;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = parent.join(format!("kallyai-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
});

fuzz_target!(|data: &[u8]| {
    let [choices, length, rest @ ..] = data else { return };
    let (tokens, file) = rest.split_at(usize::from(*length).min(rest.len()));
    let token =
        |bytes: &[u8]| -> String { bytes.iter().map(|b| char::from(b'!' + b % (b'~' - b'!' + 1))).collect() };
    let (access, refresh) = tokens.split_at(tokens.len() / 2);
    let access = format!("a{}", token(access));
    let refresh = Some(token(refresh)).filter(|text| !text.is_empty());
    let lifetime = LIFETIMES[usize::from(choices & 7)];

    let before = read(file);
    let after = renewed(file, &access, refresh.as_deref(), lifetime);
    assert_eq!(before.is_some(), after.is_some());
    if let (Some(before), Some(after)) = (&before, &after) {
        // Members that are not ours are the file's, letter for letter.
        let members: Members = serde_json::from_slice(file).expect("an object");
        assert_eq!(others(&members), before.others);
        assert!(!before.access_token.is_empty() && before.access_token.bytes().all(|b| b.is_ascii_graphic()));

        // What is written reads back the same, and is written the same.
        let written = rewritten(file).expect("a login");
        assert_eq!(read(&written).as_ref(), Some(before), "read back");
        assert_eq!(rewritten(&written).as_ref(), Some(&written), "written again");

        is_renewal(before, after, &access, refresh.as_deref(), lifetime);
    }

    // By way of a file: now and then, it takes longer.
    if choices & 0x38 == 0 {
        let path = FOLDER.join("login.json");
        std::fs::write(&path, file).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("ours");
        let seen = renewed_in(&path, &access, refresh.as_deref(), lifetime);
        let now = std::fs::read(&path).expect("a file");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, if before.is_some() { 0o600 } else { 0o644 });
        match (seen, &before) {
            (Ok(Some(seen)), Some(before)) => {
                assert_eq!(&seen, before);
                assert_eq!(before.issuer, PRODUCTION);
                is_renewal(before, &now, &access, refresh.as_deref(), lifetime);
            }
            (Err(_), None) => assert_eq!(now, file, "a file that cannot be read is left alone"),
            (Err(_), Some(before)) => {
                assert_ne!(before.issuer, PRODUCTION);
                assert_eq!(now, file, "another service's login is left alone");
            }
            (seen, _) => panic!("{seen:?}"),
        }
        written_over(&path, file).expect("ours");
        assert_eq!(std::fs::read(&path).expect("a file"), file, "written in place");
        let left = std::fs::read_dir(&*FOLDER).expect("a folder").count();
        assert_eq!(left, 1, "files left beside the login");
    }
});

fn others(members: &Members) -> BTreeMap<String, String> {
    let others = members.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    others.map(|(name, raw)| (name.clone(), raw.get().to_owned())).collect()
}

fn is_renewal(before: &Seen, after: &[u8], access: &str, refresh: Option<&str>, lifetime: Option<f64>) {
    assert!(after.len() as u64 <= LARGEST_FILE);
    let members: Members = serde_json::from_slice(after).expect("an object");
    assert_eq!(others(&members), before.others, "members of other clients");
    let ours = members.keys().filter(|name| OURS.contains(&name.as_str())).count();
    let seen = read(after).expect("a login");
    let named = usize::from(members.contains_key("issuer"));
    assert_eq!(ours, 2 + named + usize::from(seen.refresh_token.is_some()));
    assert_eq!(seen.issuer, before.issuer);
    assert_eq!(seen.access_token, access);
    assert_eq!(seen.refresh_token.as_deref(), refresh.or(before.refresh_token.as_deref()));
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let lasts = seen.expires_at - now as i64;
    let expected = match lifetime {
        Some(seconds) if seconds > 0.0 => seconds.min(315_576_000.0) as i64 - 60,
        _ => 3540,
    };
    assert!((expected - 5..=expected).contains(&lasts), "{lasts} s instead of {expected}");
    let expires: i64 = members["expires_at"].get().parse().expect("whole seconds");
    assert_eq!(expires, seen.expires_at);
}
