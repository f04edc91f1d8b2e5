//! A call before its end: what would be sent, what goes on elsewhere, what is pending.

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::hints::Suggesting;
use super::View;
use super::error::ErrorObject;
use crate::domain::{IdempotencyKey, redact};
use crate::error::{Error, Result};
use crate::output::{Line, Tone};
use crate::service::{Detachment, PendingCall, Placement, Preview, Warning};

#[derive(Serialize)]
struct DryRun<'a> {
    method: &'a str,
    url: &'a str,
    headers: serde_json::Map<String, serde_json::Value>,
    body: Box<RawValue>,
    would_place: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<ErrorObject<'a>>,
    warnings: Vec<WarningObject<'a>>,
}

#[derive(Serialize)]
struct WarningObject<'a> {
    code: &'a str,
    message: &'a str,
}

/// The request that would be sent, and what would happen to it.
pub fn dry_run(
    view: &View<'_>,
    placement: &Placement,
    preview: &Preview,
    warnings: &[Warning],
    suggesting: Suggesting,
) -> Result<()> {
    let json = placement.request.to_json();
    if view.out.is_json() {
        let body = RawValue::from_string(String::from_utf8_lossy(&json).into_owned())
            .map_err(|e| Error::io("the request could not be written", e.into()))?;
        let mut headers = serde_json::Map::new();
        headers.insert("Content-Type".into(), "application/json".into());
        if let Some(key) = &placement.key {
            headers.insert("Idempotency-Key".into(), key.as_str().into());
        }
        return view.out.object(&DryRun {
            method: "POST",
            url: &preview.url,
            headers,
            body,
            would_place: preview.refusal.is_none(),
            refusal: preview.refusal.as_ref().map(|error| ErrorObject::new(error, suggesting)),
            warnings: warnings
                .iter()
                .map(|warning| WarningObject { code: warning.code, message: &warning.text })
                .collect(),
        });
    }
    view.out.line(&Line::new().tone(Tone::Strong, "POST").text(" ").text(&preview.url))?;
    view.out.line(&Line::new().text("Content-Type: application/json"))?;
    let fresh = view.out.translate("(a fresh one for each call)");
    let key = placement.key.as_ref().map_or(&*fresh, IdempotencyKey::as_str);
    view.out.line(&Line::new().text("Idempotency-Key: ").text(key))?;
    view.out.blank()?;
    view.out.indented(&json)?;
    warnings.iter().for_each(|warning| view.out.warn(warning.code, &warning.text));
    if let Some(refusal) = &preview.refusal {
        let text = format!("this call would be refused: {refusal} [{}]", refusal.code());
        view.out.warn(refusal.code(), &text);
    }
    view.out.explain(&Line::new(), "Nothing was sent.");
    Ok(())
}

/// A call that goes on without this process.
pub fn detached(view: &View<'_>, detachment: &Detachment, suggesting: Suggesting) -> Result<()> {
    let next = suggesting.resume(&detachment.key, detachment.is_only_pending);
    if view.out.is_json() {
        let mut object = serde_json::json!({
            "idempotency_key": detachment.key,
            "number": detachment.number,
            "requested_at": detachment.requested_at.timestamp().to_string(),
            "next_command": next,
        });
        if let (Some(id), Some(members)) = (&detachment.call_id, object.as_object_mut()) {
            members.insert("call_id".into(), id.as_str().into());
        }
        return view.out.object(&object);
    }
    let [before, behind] =
        ["The call to ", " goes on. Learn how it ended:"].map(|text| view.out.translate(text));
    view.out.line(&Line::new().text(&before).tone(Tone::Strong, &detachment.number).text(&behind))?;
    view.out.copyable(&Line::new().text("  ").text(&next))
}

/// The calls whose end was not shown yet.
pub fn pending(view: &View<'_>, pending: &[PendingCall], suggesting: Suggesting) -> Result<()> {
    if view.out.is_json() {
        let object = |call: &PendingCall| {
            let mut object = serde_json::json!({
                "idempotency_key": call.key,
                "number": call.number,
                "task": call.task,
                "requested_at": call.requested_at.timestamp().to_string(),
                "state": call.state,
                "waited_for": call.is_waited_for,
                "next_command": suggesting.resume(&call.key, pending.len() == 1),
            });
            if let Some(members) = object.as_object_mut() {
                if let Some(id) = &call.call_id {
                    members.insert("call_id".into(), id.as_str().into());
                }
                if let Some(status) = &call.status {
                    members.insert("status".into(), status.as_str().into());
                }
            }
            object
        };
        return view
            .out
            .object(&serde_json::json!({ "pending": pending.iter().map(object).collect::<Vec<_>>() }));
    }
    if pending.is_empty() {
        let none = view.out.translate("No call is pending.");
        return view.out.line(&Line::new().text(&none));
    }
    let messages = view.out.messages();
    for call in pending {
        let at = call.requested_at.timestamp();
        let state = match (call.state, &call.status) {
            ("ended", Some(status)) => {
                let words = redact(status.as_str()).replace('_', " ");
                messages.fill("ended: {}", &[&messages.translate(&words)])
            }
            (state, _) if call.is_waited_for => {
                messages.fill("{}, waited for in the background", &[&messages.translate(state)])
            }
            (state, _) => messages.translate(state).into_owned(),
        };
        view.field("Number", &call.number)?;
        view.field("Task", &call.task)?;
        view.field("Requested", &view.clock.moment(at))?;
        view.field("State", &state)?;
        if let Some(id) = &call.call_id {
            view.field("ID", id.as_str())?;
        }
        view.out.copyable(&Line::new().text("  ").text(&suggesting.resume(&call.key, pending.len() == 1)))?;
        view.out.blank()?;
    }
    Ok(())
}
