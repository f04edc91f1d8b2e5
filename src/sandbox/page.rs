//! The pages a person sees. They need no script and load nothing, and what came from outside
//! stands in them only escaped.

use super::plan;
use super::wire::Reply;

const STYLE: &str = include_str!("pages/style.css");

/// Asks whether the program behind `client` may sign in; both answers carry `query` on.
pub(super) fn sign_in(client: &str, query: &str) -> Reply {
    page(format!(
        include_str!("pages/sign_in.html"),
        style = STYLE,
        client = escaped(client),
        query = escaped(query),
    ))
}

pub(super) fn billing() -> Reply {
    page(format!(
        include_str!("pages/billing.html"),
        style = STYLE,
        plan = plan::NAME,
        minutes = plan::MINUTES,
        calls = plan::CALLS,
    ))
}

fn page(html: String) -> Reply {
    // Browsers apply `form-action` to the redirect that answers the form, too.
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
        form-action 'self' http://localhost:* http://127.0.0.1:*; frame-ancestors 'none'";
    Reply::html(200, html)
        .with_header("Content-Security-Policy", POLICY)
        // "no-referrer" would make browsers send the forms with "Origin: null".
        .with_header("Referrer-Policy", "same-origin")
        .with_header("X-Content-Type-Options", "nosniff")
}

/// Text that can stand between tags and in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_breaks_out_of_an_attribute() {
        assert_eq!(escaped(r#"<a b="c" d='e'>&"#), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;",);
    }
}
