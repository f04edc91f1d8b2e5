//! Makes a call and waits for its result. Tools respond within 45 seconds, because MCP clients time
//! out after 60. A worker process makes the call, so canceling a tool call stops only the wait.

use std::collections::BTreeMap;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, InputRequiredResult, InputResponses, ProtocolVersion,
};
use rmcp::service::RequestContext;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::reply::{call_arguments, error_json, untrusted};
use super::tools::PlaceCall;
use crate::error::{Error, Kind, Result};
use crate::service::{CallDraft, Follow, Outcome, PlaceOptions, Service, Until};
use crate::signals::Signals;
use crate::view::{self, View};

/// How long a tool waits for a call. The worker process may need 2 more seconds to report the
/// result.
const WAIT: Duration = Duration::from_secs(43);
/// The part of `WAIT` that is reserved for the call. The user has the rest to confirm the call.
const AFTER_CONFIRMATION: Duration = Duration::from_secs(10);

/// Returns the deadline for a tool that waits for a call. `--timeout` can shorten the wait but not
/// extend it.
pub fn deadline(timeout: Option<u64>) -> Instant {
    Instant::now() + timeout.map_or(WAIT, Duration::from_secs).min(WAIT)
}

pub async fn place(service: &Service<'_>, call: PlaceCall, deadline: Instant) -> Result<View> {
    let (again, key) = (call.again, call.key);
    let options = PlaceOptions { again, key };
    let draft = CallDraft {
        phone: call.phone,
        task: call.task,
        fields: call.fields,
    };
    if call.dry_run {
        let preview = service.preview(draft, &options)?;
        return Ok(view::preview(&preview, error_json));
    }
    let plan = timeout_at(deadline, service.plan(draft, &options)).await;
    let late = "the service did not respond in time, and no call was made";
    let plan = plan.map_err(|_| Error::new(Kind::Unreachable, late))??;
    for warning in &plan.warnings {
        service.notices.warn(warning.code, &warning.text);
    }
    let wait = async |follow: Follow<'_>| service.place(plan, follow).await;
    outcome(service, deadline, wait).await
}

/// Waits for the outcome of a call and marks the outcome as shown.
pub async fn outcome(
    service: &Service<'_>,
    deadline: Instant,
    wait: impl AsyncFnOnce(Follow<'_>) -> Result<Outcome>,
) -> Result<View> {
    let follow = Follow {
        until: Until {
            at: deadline,
            is_detached: false,
        },
        signals: &mut Signals::none(),
        progress: &mut |_| {},
    };
    match wait(follow).await {
        Ok(Outcome::Ended(ended)) => {
            let view = view::result(&ended, &service.zone());
            service.mark_shown(ended.key.as_ref(), &ended.call).await;
            Ok(untrusted(view))
        }
        Ok(Outcome::InProgress { key, call_id }) => {
            let (key, call_id) = (key.as_ref(), call_id.as_ref());
            let arguments = call_arguments(key, call_id);
            let next = format!("get_call_result {arguments}");
            let json = json!({ "next_tool": "get_call_result", "next_arguments": arguments });
            Ok(view::in_progress(key, call_id, &next, json))
        }
        Err(error) => {
            service.mark_error_shown(&error).await;
            Err(error)
        }
    }
}

/// Asks the user to confirm a second call if the client supports elicitation. From protocol version
/// 2026-07-28 on, returns the question, and the client repeats the tool call with the answer.
pub async fn confirm(
    call: &PlaceCall,
    responses: Option<InputResponses>,
    context: &RequestContext<RoleServer>,
    deadline: Instant,
) -> Result<Option<InputRequiredResult>> {
    const ID: &str = "second_call";
    if !call.again || call.dry_run {
        return Ok(None);
    }
    let elicitation = context.client_capabilities().and_then(|it| it.elicitation);
    if !elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none()) {
        return Ok(None);
    }
    let request = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: format!(
            "Call {} even if an earlier call is in progress or has already succeeded? Task: {}",
            call.phone, call.task
        ),
        requested_schema: ElicitationSchema::new(BTreeMap::new()),
    };
    let version = context.protocol_version();
    let response = if version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
        let Some(response) = responses.and_then(|mut all| all.remove(ID)) else {
            let request = InputRequest::Elicitation(ElicitRequest::new(request));
            let requests = BTreeMap::from([(ID.to_owned(), request)]);
            return Ok(Some(InputRequiredResult::from_input_requests(requests)));
        };
        serde_json::from_value::<ElicitResult>(response).ok()
    } else {
        let left = deadline.saturating_duration_since(Instant::now() + AFTER_CONFIRMATION);
        let peer = &context.peer;
        let response = peer.create_elicitation_with_timeout(request, Some(left));
        response.await.ok()
    };
    if response.is_some_and(|response| response.action == ElicitationAction::Accept) {
        return Ok(None);
    }
    let message = "the user did not confirm the second call, so it was not made";
    Err(Error::new(Kind::Cancelled, message).with_hint("do not try again unless the user asks"))
}
