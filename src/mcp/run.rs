//! Runs the service operation of each tool.

use serde_json::json;
use tokio::time::Instant;

use super::reply::untrusted;
use super::tools::Tool;
use super::{Server, place};
use crate::error::{Error, Kind, Result};
use crate::service::{Follow, Service};
use crate::view::{self, Block, View};

impl Server {
    pub async fn run(&self, service: &Service<'_>, tool: Tool, deadline: Instant) -> Result<View> {
        Ok(match tool {
            Tool::PlaceCall(call) => place::place(service, *call, deadline).await?,
            Tool::GetCallResult { key, call_id } => {
                let which = key.or(call_id);
                let wait =
                    async |follow: Follow<'_>| service.resume(which.as_deref(), follow).await;
                place::outcome(service, deadline, wait).await?
            }
            Tool::ListPendingCalls {} => {
                view::pending(&service.pending()?, &service.zone(), |_| None)
            }
            Tool::ListCalls(query) => {
                let history = service.history(&query).await?;
                let mut view = view::history(&history, &query, &service.zone());
                if let Some(why) = view::no_calls(&history, &query) {
                    view.blocks = vec![Block::Line(why)];
                }
                untrusted(view)
            }
            Tool::GetCall(args) => {
                let call = service.call(&args.call_id).await?;
                let view = view::call(&call, &service.zone());
                service.mark_shown(None, &call).await;
                untrusted(view)
            }
            Tool::GetTranscript(args) => {
                untrusted(view::transcript(&service.transcript(&args.call_id).await?))
            }
            Tool::GetCalendar(args) => view::calendar(service.calendar(&args.call_id).await?),
            Tool::GetUsage {} => view::usage(&service.usage().await?, &service.zone()),
            Tool::GetSubscription {} => {
                view::subscription(&service.subscription().await?, &service.zone())
            }
            Tool::SignIn { callback_url } => match callback_url {
                Some(url) => self.sign_in.finish(service, &url).await?,
                None => self.sign_in.begin(service).await?,
            },
            Tool::AuthStatus {} => match service.auth_status().await {
                Ok(until) => view::auth_status(until, &service.zone()),
                Err(error) if error.kind == Kind::NotSignedIn => self.not_signed_in(&error),
                Err(error) => return Err(error),
            },
        })
    }

    /// Returns a view for a user who is not signed in. For `auth_status`, that is a result, not an
    /// error.
    fn not_signed_in(&self, error: &Error) -> View {
        let (hint, next_tool) = if self.settings.sandbox {
            ("the sandbox needs no sign-in", None)
        } else if self.sign_in.url().is_some() {
            (
                "a sign-in is waiting for the user's browser: if the browser ends up on a page that does not load, pass that page's URL to sign_in as callback_url",
                None,
            )
        } else {
            (error.tool_hint(), Some("sign_in"))
        };
        let json = json!({ "signed_in": false, "hint": hint, "next_tool": next_tool });
        let said = format!("{error}: {hint}");
        View::own(json, vec![Block::Line(said)])
    }
}
