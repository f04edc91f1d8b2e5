//! The login and the sandbox, in words.

use super::View;
use crate::domain::shell_quoted;
use crate::error::Result;
use crate::output::{Line, Tone};
use crate::service::{AuthStatus, PendingSignIn, ServedSandbox, SignOut};

/// Somebody is signed in now.
pub fn signed_in(view: &View<'_>) -> Result<()> {
    if view.out.is_json() {
        return view.out.object(&serde_json::json!({ "signed_in": true }));
    }
    view.out.line(&Line::new().tone(Tone::Good, &view.out.translate("Signed in.")))
}

/// The first of two steps: what to open, and what comes then.
pub fn sign_in_begun(view: &View<'_>, pending: &PendingSignIn) -> Result<()> {
    let json = if view.out.is_json() { " --json" } else { "" };
    let next = format!("{} --login --callback-url -{json}", view.program);
    if view.out.is_json() {
        return view.out.object(&serde_json::json!({
            "sign_in_url": pending.url, "expires_in": pending.expires_in, "next_command": next,
        }));
    }
    view.out.copyable(&Line::new().text(&pending.url))?;
    let minutes = pending.expires_in / 60;
    view.out.explain(
        &Line::new(),
        &format!(
            "Open that address in any browser and sign in with your Google or Apple account. It ends at an address \
             that begins with http://localhost, and that page need not load. Copy the address, then within \
             {minutes} minutes:"
        ),
    );
    view.out.note(&Line::new());
    view.out.note_copyable(&Line::new().text("  ").text(&next));
    Ok(())
}

/// What there is of a login.
pub fn auth_status(view: &View<'_>, status: AuthStatus) -> Result<()> {
    if view.out.is_json() {
        return view.out.object(&match status {
            AuthStatus::Given => serde_json::json!({ "signed_in": true, "source": "KALLYAI_ACCESS_TOKEN" }),
            AuthStatus::SignedIn { until } => {
                serde_json::json!({ "signed_in": true, "source": "file", "expires_at": until.to_string() })
            }
        });
    }
    let messages = view.out.messages();
    let detail = match status {
        AuthStatus::Given => messages.fill(" with KALLYAI_ACCESS_TOKEN, which was not tried", &[]),
        AuthStatus::SignedIn { until } => {
            messages.fill(". The login renews itself, next after {}", &[&view.clock.moment(until)])
        }
    };
    let signed_in = messages.translate("Signed in");
    view.out.line(&Line::new().tone(Tone::Good, &signed_in).text(&detail).text("."))
}

/// Nobody is signed in any more.
pub fn signed_out(view: &View<'_>, SignOut { was_signed_in }: SignOut) -> Result<()> {
    if view.out.is_json() {
        return view.out.object(&serde_json::json!({ "signed_in": false, "was_signed_in": was_signed_in }));
    }
    let text = if was_signed_in { "Signed out." } else { "You were not signed in." };
    view.out.line(&Line::new().text(&view.out.translate(text)))
}

/// Where the sandbox is served.
pub fn sandbox_served(view: &View<'_>, served: &ServedSandbox) -> Result<()> {
    let file = served.token_file.display().to_string();
    if view.out.is_json() {
        view.out.object(&serde_json::json!({ "api_url": served.url, "token_file": file }))?;
    } else {
        view.out.copyable(&Line::new().text(&export("KALLYAI_API_URL", &served.url)))?;
        view.out.copyable(&Line::new().text(&export("KALLYAI_TOKEN_FILE", &file)))?;
    }
    view.out.flush()?;
    view.out.explain(
        &Line::new(),
        "The sandbox answers until Ctrl-C. No phone rings. In another shell, run the two lines above.",
    );
    Ok(())
}

/// A line that sets a variable in a shell; on Windows that is PowerShell.
fn export(name: &str, value: &str) -> String {
    if cfg!(windows) {
        format!("$env:{name} = '{}'", value.replace('\'', "''"))
    } else {
        format!("export {name}={}", shell_quoted(value))
    }
}
