//! What of a file is a login of this service, and which left-over one takes its place.

use std::time::SystemTime;

use super::*;

const ORIGIN: &str = "https://api.example.org";

struct Folder {
    folder: tempfile::TempDir,
    store: Store,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path().join("login.json"), ORIGIN.into());
        Self { folder, store }
    }

    /// Writes what a killed process left so long ago, with these permissions.
    fn leave(&self, content: &str, seconds: u64, mode: u32) {
        let path = aside_file(&self.folder.path().join("login.json"));
        let options = &mut OpenOptions::new();
        let file =
            files::private(options.write(true).create(true).truncate(true)).open(&path).expect("a file");
        std::fs::write(&path, content).expect("a login");
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("a time");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            file.set_permissions(std::fs::Permissions::from_mode(mode)).expect("permissions");
        }
        #[cfg(not(unix))]
        let _ = mode;
    }

    /// Writes what stands in the login's place, since so long ago.
    fn put(&self, content: &str, seconds: u64) {
        let path = self.folder.path().join("login.json");
        std::fs::write(&path, content).expect("a file");
        let file = OpenOptions::new().write(true).open(&path).expect("the file");
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("a time");
    }

    /// Whether what was left is the login now.
    fn adopts(&self) -> bool {
        assert!(self.store.has_left_over());
        let Ok(lock) = self.store.try_lock() else { panic!("nobody has it") };
        self.store.adopt_left_over(&lock).expect("a folder that can be written");
        let is_gone = !self.store.has_left_over();
        let token = self.store.load().ok().flatten().map(|login| login.access_token.expose().to_owned());
        assert_eq!(is_gone, token.as_deref() == Some("left"));
        is_gone
    }
}

fn login(token: &str, issuer: &str) -> String {
    format!(r#"{{"access_token":"{token}","issuer":"{issuer}"}}"#)
}

#[test]
fn what_was_left_without_a_login_is_adopted_for_ten_minutes() {
    for (issuer, seconds, mode, is_adopted) in [
        (ORIGIN, 0, 0o600, true),
        (ORIGIN, 590, 0o600, true),
        (ORIGIN, 610, 0o600, false),
        ("https://other.example", 0, 0o600, false),
        // Others could have written it.
        (ORIGIN, 0, 0o644, cfg!(not(unix))),
    ] {
        let folder = Folder::new();
        assert!(!folder.store.has_left_over());
        folder.leave(&login("left", issuer), seconds, mode);
        assert_eq!(folder.adopts(), is_adopted, "{issuer}, {seconds} s, {mode:o}");
    }
}

#[test]
fn what_was_left_beside_a_login_is_adopted_if_it_is_newer_and_the_same_services() {
    let ours = login("now", ORIGIN);
    for (now, issuer, seconds, mode, is_adopted) in [
        (&*ours, ORIGIN, 50, 0o600, true),
        (&ours, ORIGIN, 60, 0o600, true),
        (&ours, ORIGIN, 70, 0o600, false),
        (&ours, "https://other.example", 50, 0o600, false),
        (&ours, ORIGIN, 50, 0o644, cfg!(not(unix))),
        (r#"{"access_token":"cut o"#, ORIGIN, 50, 0o600, true),
        (r#"{"access_token":"cut o"#, "https://other.example", 50, 0o600, false),
        ("something else", ORIGIN, 50, 0o600, false),
    ] {
        let folder = Folder::new();
        // Of one moment, so that equal times are equal.
        folder.put(now, 60);
        folder.leave(&login("left", issuer), seconds, mode);
        if seconds == 60 {
            let at =
                std::fs::metadata(folder.folder.path().join("login.json")).and_then(|file| file.modified());
            let left = aside_file(&folder.folder.path().join("login.json"));
            let left = OpenOptions::new().write(true).open(left).expect("the file");
            left.set_modified(at.expect("a time")).expect("a time");
        }
        assert_eq!(folder.adopts(), is_adopted, "{now}: {issuer}, {seconds} s, {mode:o}");
    }
}

#[test]
fn what_cannot_be_read_is_replaced_where_it_can_be_nothing_but_a_login() {
    for (content, is_own_path, expected) in [
        ("something else", false, false),
        ("something else", true, true),
        (r#"{"access_token":"cut o"#, false, true),
        (r#"{"access_token":"cut o"#, true, true),
    ] {
        let folder = Folder::new();
        folder.put(content, 0);
        let store = folder.store.clone().at_own_path(is_own_path);
        let Err(Error::TokenFile { replaceable, .. }) = store.load() else { panic!("{content} is a login") };
        assert_eq!((replaceable, store.may_be_replaced().is_ok()), (expected, expected), "{content}");
    }
}

#[test]
fn only_the_login_that_is_meant_is_removed() {
    let folder = Folder::new();
    folder.put(&login("now", ORIGIN), 0);
    let [old, now] =
        ["old", "now"].map(|token| Login::parse(login(token, ORIGIN).as_bytes()).expect("a login"));
    assert!(!folder.store.remove_if(&old).expect("a file"));
    assert!(folder.store.load().expect("a file").is_some());
    assert!(folder.store.remove_if(&now).expect("a file"));
    assert!(!folder.store.remove_if(&now).expect("no file"));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_removed() {
    for is_own_path in [false, true] {
        let folder = Folder::new();
        let path = folder.folder.path().join("login.json");
        let _socket = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        assert!(folder.store.clone().at_own_path(is_own_path).remove().is_err(), "{is_own_path}");
        assert!(path.exists(), "{is_own_path}");
    }
}

#[cfg(unix)]
#[test]
fn a_login_that_others_may_read_becomes_its_owners_alone_and_no_other_is_changed() {
    use std::os::unix::fs::PermissionsExt as _;
    for (before, after) in [(0o600, 0o600), (0o400, 0o400), (0o640, 0o600), (0o604, 0o600)] {
        let folder = Folder::new();
        folder.put(&login("now", ORIGIN), 0);
        let path = folder.folder.path().join("login.json");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(before)).expect("permissions");
        assert!(folder.store.load().expect("a file").is_some());
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode() & 0o777;
        assert_eq!(mode, after, "{before:o}");
    }
}

#[test]
fn a_file_beyond_the_size_of_any_login_is_none() {
    for (size, is_login) in [(900_000, true), (1_100_000, false)] {
        let folder = Folder::new();
        folder.put(&format!(r#"{{"access_token":"a","issuer":"{ORIGIN}","x":"{}"}}"#, "x".repeat(size)), 0);
        assert_eq!(folder.store.load().is_ok_and(|login| login.is_some()), is_login, "{size}");
    }
}
