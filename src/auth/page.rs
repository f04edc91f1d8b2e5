//! What the browser is shown when the sign-in comes back: static, nothing of the request in it, nothing to run.

/// The pages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The login is saved.
    SignedIn,
    /// The login came and could not be saved.
    NotSaved,
    /// The sign-in was declined.
    Declined,
}

/// A response, ready to be written.
pub struct Response {
    /// Head and body.
    pub bytes: Vec<u8>,
    /// Whether the browser has now seen all there is to see.
    pub ends_sign_in: bool,
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;font:1.0625rem/1.5 system-ui,sans-serif;\
background:Canvas;color:CanvasText}\
main{max-width:26rem;padding:2rem;text-align:center;text-wrap:balance}\
h1{font-size:1.5rem;font-weight:600;margin:0 0 .5rem}\
p{margin:0;opacity:.75}";

/// The digest of [`STYLE`] by which the content security policy lets it pass.
const STYLE_HASH: &str = "sha256-0yKCzsQ8tmZLnoFUhmBe+w0AqmrBxLQBcSy3q68r0Ss=";

impl Page {
    /// Where the pages are.
    pub const PATHS: [&'static str; 3] = ["/signed-in", "/not-saved", "/declined"];

    /// Where this page is.
    pub fn path(self) -> &'static str {
        let [signed_in, not_saved, declined] = Self::PATHS;
        match self {
            Self::SignedIn => signed_in,
            Self::NotSaved => not_saved,
            Self::Declined => declined,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedIn => ("You are signed in", "You can close this window and return to your terminal."),
            Self::NotSaved => {
                ("You are not signed in", "The login could not be saved. Your terminal says why.")
            }
            Self::Declined => {
                ("You are not signed in", "The sign-in was declined. To try again, return to your terminal.")
            }
        }
    }

    /// Sends the browser here, so that its address bar forgets the query.
    pub fn redirect(self) -> Response {
        Response {
            bytes: head("303 See Other", &format!("Location: {}\r\n", self.path()), 0).into_bytes(),
            ends_sign_in: false,
        }
    }

    /// The page itself.
    pub fn response(self) -> Response {
        let (title, text) = self.words();
        let body = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>KallyAI: {title}</title><style>{STYLE}</style><main><h1>{title}</h1><p>{text}</p></main></html>\n"
        );
        let mut response = head("200 OK", "Content-Type: text/html; charset=utf-8\r\n", body.len());
        response.push_str(&body);
        Response { bytes: response.into_bytes(), ends_sign_in: true }
    }
}

/// A refusal says its status and nothing else.
pub fn refusal(status: u16) -> Response {
    let line = match status {
        403 => "403 Forbidden",
        404 => "404 Not Found",
        405 => "405 Method Not Allowed",
        431 => "431 Request Header Fields Too Large",
        _ => "400 Bad Request",
    };
    let allow = if status == 405 { "Allow: GET\r\n" } else { "" };
    Response { bytes: head(line, allow, 0).into_bytes(), ends_sign_in: false }
}

fn head(status: &str, fields: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\
         Content-Security-Policy: default-src 'none'; style-src '{STYLE_HASH}'\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use sha2::Digest as _;

    use super::*;

    #[test]
    fn the_policy_lets_this_style_pass_and_no_other() {
        let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(STYLE));
        assert_eq!(STYLE_HASH, format!("sha256-{digest}"));
    }

    #[test]
    fn a_refusal_says_which_method_is_allowed_where_another_was_used() {
        for status in [400, 403, 404, 405, 431] {
            let text = String::from_utf8(refusal(status).bytes).expect("ASCII");
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
            assert_eq!(text.contains("Allow: GET\r\n"), status == 405, "{text}");
        }
    }

    #[test]
    fn a_redirect_names_a_page_without_a_query() {
        for page in [Page::SignedIn, Page::NotSaved, Page::Declined] {
            let text = String::from_utf8(page.redirect().bytes).expect("ASCII");
            assert!(text.contains(&format!("Location: {}\r\n", page.path())));
        }
    }
}
