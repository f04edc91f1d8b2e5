//! Front end 2: a server of the Model Context Protocol on stdin and stdout, for programs that call tools. Its tools are
//! the operations of `service`, as the command line's are: same journal, same guards, same login.
//!
//! A call never depends on this process: it is placed as with `--detach`, and what the server does afterwards is wait.
//! Many hosts cut a request after a minute, so that every answer comes within 45 seconds.
//!
//! | module | what it is |
//! |---|---|
//! | `tools`, `arguments`, `reading`, `answers`, `failure` | what the model sees: tools, arguments, answers, errors |
//! | `call`, `read` | what the tools do |
//! | `transport`, `reports` | the pipes; what an answer tells counts as told once it was written |
//! | `config` | the lines that tell a host of this server |

mod answers;
mod arguments;
mod call;
pub mod config;
mod failure;
mod read;
mod reading;
mod reports;
mod tools;
mod transport;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelledNotificationParam, CustomRequest,
    CustomResult, ErrorCode, Implementation, JsonObject, ListToolsResult, PaginatedRequestParams, RequestId,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, ServerInitializeError};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::error::{Error, Kind, Result};
use crate::service::{Notices, Options, Service, Trace, Warning};
use crate::settings::Settings;
use reports::{Report, Reports};

/// How long a tool that reads may take.
const LONGEST_READ: Duration = Duration::from_secs(42);
/// How long the last answers may take to be noted once there are no more requests.
const LAST_NOTES: Duration = Duration::from_secs(2);

/// The server, for one client.
#[derive(Clone)]
pub struct Server {
    /// What the environment says.
    pub settings: Settings,
    /// The port in the address of a sign-in.
    pub callback_port: u16,
    /// Receives what is sent to the service and received.
    pub trace: Option<Trace>,
    reports: Rc<Reports>,
}

impl Server {
    /// A server that has no client yet. It needs no login to begin.
    pub fn new(settings: Settings, callback_port: u16, trace: Option<Trace>) -> Self {
        Self { settings, callback_port, trace, reports: Rc::default() }
    }

    /// Answers the client on stdin and stdout until it closes stdin, or `stop` is there, whose value is returned then.
    ///
    /// # Errors
    /// When what comes first is not of the protocol.
    pub async fn run<S>(self, stop: impl Future<Output = S>) -> Result<Option<S>> {
        LocalSet::new().run_until(self.answer(stop)).await
    }

    async fn answer<S>(self, stop: impl Future<Output = S>) -> Result<Option<S>> {
        let mut stop = std::pin::pin!(stop);
        let (written, noting) = mpsc::unbounded_channel();
        let noting = tokio::task::spawn_local(self.clone().note_written(noting));
        let begun = tokio::select! {
            begun = rmcp::serve_server(self, transport::stdio(written)) => begun,
            stopped = &mut stop => return Ok(Some(stopped)),
        };
        let running = match begun {
            Ok(running) => running,
            // A client that leaves before it has begun.
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(None),
            Err(error) => {
                let message = format!("the client does not speak the protocol: {error}");
                return Err(Error::new(Kind::Io, message));
            }
        };
        let stopped = tokio::select! {
            _ = running.waiting() => None,
            stopped = stop => Some(stopped),
        };
        // What was written is noted, whatever ended the server.
        let _ = tokio::time::timeout(LAST_NOTES, noting).await;
        Ok(stopped)
    }

    /// Notes in the journal what the client was told, once it was: an answer that is lost on the way is given again.
    async fn note_written(self, mut written: mpsc::UnboundedReceiver<RequestId>) {
        while let Some(id) = written.recv().await {
            let Some((key, report)) = self.reports.get(&id) else { continue };
            let notices = Collected::default();
            let service = self.service(&notices, None);
            match report {
                Report::Result => service.mark_shown(&key).await,
                Report::Failure => service.mark_failure_shown(&key).await,
            }
            self.reports.remove(&id);
        }
    }

    /// The product, for one request.
    fn service<'a>(&self, notices: &'a Collected, timeout: Option<u64>) -> Service<'a> {
        let options = Options { timeout, callback_port: self.callback_port, ..Options::default() };
        Service::new(self.settings, options, notices, self.trace.clone())
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult> {
        let arguments = request.arguments;
        match request.name.as_ref() {
            "place_call" => self.place_call(reading::read(arguments)?, &context).await,
            "get_call_result" => self.call_result(reading::read(arguments)?, &context).await,
            name => tokio::time::timeout(LONGEST_READ, self.read(name, arguments))
                .await
                .unwrap_or_else(|_| Err(Error::new(Kind::Unreachable, "the service did not answer in time"))),
        }
    }

    /// The tools that wait for nobody. A search of a long history is many reads.
    async fn read(&self, name: &str, arguments: Option<JsonObject>) -> Result<CallToolResult> {
        match name {
            "list_pending_calls" => self.pending(reading::read(arguments)?).await,
            "list_calls" => self.list_calls(reading::read(arguments)?).await,
            "get_call" => self.get_call(reading::read(arguments)?).await,
            "get_transcript" => self.transcript(reading::read(arguments)?).await,
            "get_calendar" => self.calendar(reading::read(arguments)?).await,
            "get_usage" => self.usage(reading::read(arguments)?).await,
            "get_subscription" => self.subscription(reading::read(arguments)?).await,
            "sign_in" => self.sign_in(reading::read(arguments)?).await,
            "auth_status" => self.auth_status(reading::read(arguments)?).await,
            name => Err(Error::usage(format!("there is no tool {name}"), "tools/list has the tools")),
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let itself =
            Implementation::new("kallyai", env!("CARGO_PKG_VERSION")).with_title("KallyAI phone calls");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(itself)
            .with_instructions(if self.settings.sandbox {
                format!(
                    "This is the sandbox: no phone rings, nothing leaves this computer, and a request that succeeded may be \
                     repeated, which the service's own calls may not. {}",
                    tools::INSTRUCTIONS
                )
            } else {
                tools::INSTRUCTIONS.to_owned()
            })
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all().to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            return Err(ErrorData::invalid_params(format!("there is no tool {}", request.name), None));
        }
        // Of an earlier request of this ID, whose answer was never written.
        self.reports.remove(&context.id);
        let cancelled = context.ct.clone();
        tokio::select! {
            biased;
            // Nobody waits any more. A call whose request is on its way goes on without this.
            () = cancelled.cancelled() => Err(ErrorData::internal_error("the request was cancelled", None)),
            answered = self.call(request, context) => {
                Ok(answered.unwrap_or_else(|error| failure::result(&error)).into())
            }
        }
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // What cannot be read as a request of its method comes here as well.
        Err(match request.method.as_str() {
            method @ "tools/call" => {
                let message = format!("the parameters of {method} do not fit; `arguments` is an object");
                ErrorData::invalid_params(message, None)
            }
            _ => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None),
        })
    }

    async fn on_cancelled(&self, cancelled: CancelledNotificationParam, _: NotificationContext<RoleServer>) {
        // An answer that was made already is not written any more.
        if let Some(id) = &cancelled.request_id {
            self.reports.remove(id);
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().iter().find(|tool| tool.name == name).cloned()
    }
}

/// What an operation has to say to the user beside its value.
#[derive(Default)]
struct Collected(RefCell<Vec<Warning>>);

impl Collected {
    fn objects(&self) -> Vec<answers::WarningObject> {
        self.0.borrow().iter().map(answers::WarningObject::from).collect()
    }
}

impl Notices for Collected {
    fn warn(&self, code: &'static str, text: &str) {
        self.0.borrow_mut().push(Warning { code, text: text.to_owned() });
    }

    fn tell(&self, text: &str) {
        self.warn("note", text);
    }
}

impl From<&Warning> for answers::WarningObject {
    fn from(warning: &Warning) -> Self {
        Self { code: warning.code.to_owned(), message: warning.text.clone() }
    }
}
