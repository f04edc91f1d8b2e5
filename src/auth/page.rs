//! The pages that the browser shows at the end of a sign-in. They have no scripts and contain
//! nothing from the request.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    SignedIn,
    NotSaved,
    Declined,
    /// The response to a redirect that belongs to an earlier sign-in.
    OldLink,
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;font:1.0625rem/1.5 system-ui,sans-serif;\
background:Canvas;color:CanvasText}\
main{max-width:26rem;padding:2rem;text-align:center;text-wrap:balance}\
h1{font-size:1.5rem;font-weight:600;margin:0 0 .5rem}\
p{margin:0;opacity:.75}";

/// The hash of [`STYLE`]. The content security policy allows only a style with this hash.
const STYLE_HASH: &str = "sha256-0yKCzsQ8tmZLnoFUhmBe+w0AqmrBxLQBcSy3q68r0Ss=";

impl Page {
    /// Returns the page's path, title and text.
    fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::SignedIn => (
                "/signed-in",
                "You are signed in",
                "You can close this window and return to your terminal.",
            ),
            Self::NotSaved => (
                "/not-saved",
                "You are not signed in",
                "The credentials could not be saved. Your terminal shows the reason.",
            ),
            Self::Declined => (
                "/declined",
                "You are not signed in",
                "The sign-in was declined. To try again, return to your terminal.",
            ),
            Self::OldLink => (
                "/callback",
                "Nothing to do here",
                "This link is from an earlier sign-in. Go back to your terminal.",
            ),
        }
    }

    pub fn path(self) -> &'static str {
        self.parts().0
    }

    /// Returns an HTTP redirect to this page, so that the tokens disappear from the address bar.
    pub fn redirect(self) -> Vec<u8> {
        let location = format!("Location: {}\r\n", self.path());
        head("303 See Other", &location, 0).into_bytes()
    }

    pub fn response(self) -> Vec<u8> {
        let (_, title, text) = self.parts();
        let body = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>KallyAI: {title}</title>\
             <style>{STYLE}</style><main><h1>{title}</h1><p>{text}</p></main></html>\n"
        );
        let is_refused = self == Self::OldLink;
        let status = if is_refused {
            "400 Bad Request"
        } else {
            "200 OK"
        };
        let html = "Content-Type: text/html; charset=utf-8\r\n";
        (head(status, html, body.len()) + &body).into_bytes()
    }
}

/// Returns an error response without a body.
pub fn refusal(status: u16) -> Vec<u8> {
    let line = match status {
        403 => "403 Forbidden",
        404 => "404 Not Found",
        405 => "405 Method Not Allowed",
        431 => "431 Request Header Fields Too Large",
        _ => "400 Bad Request",
    };
    let allow = if status == 405 { "Allow: GET\r\n" } else { "" };
    head(line, allow, 0).into_bytes()
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
    fn security_policy_contains_the_hash_of_the_page_style() {
        let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(STYLE));
        assert_eq!(STYLE_HASH, format!("sha256-{digest}"));
    }
}
