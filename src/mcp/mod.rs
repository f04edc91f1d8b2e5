//! The MCP front end: a Model Context Protocol server on stdin and stdout. Each tool calls one
//! operation of the service.

mod arguments;
mod coerce;
mod place;
mod reply;
mod sign_in;
mod tools;
mod transport;

use std::time::Duration;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, tool_handler};
use tokio::time::timeout;

use crate::domain::Zone;
use crate::error::Result;
use crate::service::{Options, Service};
use crate::settings::Settings;
use crate::view::View;
use arguments::Args;
use reply::Warnings;
use sign_in::SignInProgress;

/// Instructions that a model reads before the list of tools.
const INSTRUCTIONS: &str = include_str!("INSTRUCTIONS.md");
/// How long the server waits at exit for the client to read the last messages.
const LAST_WRITE: Duration = Duration::from_secs(2);

struct Server {
    settings: Settings,
    options: Options,
    router: ToolRouter<Self>,
    sign_in: SignInProgress,
}

/// Serves the client on stdin and stdout until it closes stdin. Runs inside a `LocalSet`.
pub async fn serve(settings: Settings, options: Options) -> Result<()> {
    let (input, output) = rmcp::transport::stdio_pipes();
    let (transport, writer) = transport::lines(input, output);
    let writer = tokio::spawn(writer);
    // An error means that the client disconnected before the session began.
    if let Ok(running) = rmcp::serve_server(Server::new(settings, options), transport).await {
        let _ = running.waiting().await;
    }
    let _ = timeout(LAST_WRITE, writer).await;
    Ok(())
}

impl Server {
    fn new(settings: Settings, options: Options) -> Self {
        Self {
            settings,
            options,
            router: Self::tool_router(),
            sign_in: SignInProgress::default(),
        }
    }

    /// Runs one tool call. Adds the warnings to its result or error.
    async fn respond<T>(
        &self,
        args: Args<T>,
        work: impl AsyncFnOnce(&Service<'_>, T) -> Result<View>,
    ) -> CallToolResult {
        let warnings = Warnings::default();
        let service = Service::new(self.settings, self.options.clone(), &warnings, None);
        let viewed = async { work(&service, args.0?).await };
        match viewed.await {
            Ok(view) => reply::result(view, &warnings),
            Err(error) => reply::error(&error, &warnings),
        }
    }
}

/// Returns the time zone for the dates in a result.
fn zone(service: &Service<'_>) -> Result<Zone> {
    Ok(Settings::zone(service.options.timezone.clone())?.zone)
}

#[tool_handler(router = self.router)]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let implementation = Implementation::new("kallyai", env!("CARGO_PKG_VERSION"));
        let sandbox = match self.settings.sandbox {
            true => "This is the sandbox: every call is simulated, and no one is called.\n\n",
            false => "",
        };
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(implementation.with_title("KallyAI phone calls"))
            .with_instructions(format!("{sandbox}{INSTRUCTIONS}"))
    }

    /// Cancels a tool by dropping its future. A phone call that was already sent continues.
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let cancelled = context.ct.clone();
        tokio::select! {
            () = cancelled.cancelled() => {
                Err(ErrorData::internal_error("the request was cancelled", None))
            }
            response = self.router.call(ToolCallContext::new(self, request, context)) => response,
        }
    }
}
