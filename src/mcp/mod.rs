//! The MCP (Model Context Protocol) server on stdin and stdout. Each tool runs one operation of
//! `service`.

mod coerce;
mod place;
mod reply;
mod run;
mod sign_in;
mod tools;
mod transport;

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use crate::error::Result;
use crate::service::{Options, Service};
use crate::settings::Settings;
use reply::Warnings;
use sign_in::SignInProgress;
use tools::Tool;
use transport::Lines;

/// Instructions that a model reads before the list of tools.
const INSTRUCTIONS: &str = include_str!("INSTRUCTIONS.md");

struct Server {
    settings: Settings,
    options: Options,
    sign_in: SignInProgress,
}

/// Serves the client on stdin and stdout until the client closes stdin. Must run inside a
/// `LocalSet`.
pub async fn serve(settings: Settings, options: Options) {
    let server = Server {
        settings,
        options,
        sign_in: SignInProgress::default(),
    };
    // An error means that the client disconnected before the session began.
    if let Ok(running) = rmcp::serve_server(server, Lines::stdio()).await {
        let _ = running.waiting().await;
    }
}

impl Server {
    /// Runs a tool and adds any warnings to its result or error.
    async fn respond(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let deadline = place::deadline(self.options.timeout);
        let tools = tools::list();
        let tool = tools.iter().find(|tool| tool.name == request.name);
        let tool = tool.ok_or_else(|| ErrorData::invalid_params("tool not found", None))?;
        let warnings = Warnings::default();
        let service = Service::new(self.settings, self.options.clone(), &warnings, None);
        let work = async {
            let arguments = request.arguments.unwrap_or_default();
            let tool = Tool::parse(&tool.name, &tool.input_schema, arguments)?;
            if let Tool::PlaceCall(call) = &tool {
                let asked = place::confirm(call, request.input_responses, &context, deadline);
                if let Some(question) = asked.await? {
                    return Ok(question.into());
                }
            }
            let view = self.run(&service, tool, deadline).await?;
            Ok(reply::result(view, &warnings).into())
        };
        let response: Result<CallToolResponse> = work.await;
        Ok(response.unwrap_or_else(|error| reply::error(&error, &warnings).into()))
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let implementation = Implementation::new("kallyai", env!("CARGO_PKG_VERSION"));
        let sandbox = match self.settings.sandbox {
            true => "This is the sandbox: all calls are simulated.\n\n",
            false => "",
        };
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(implementation.with_title("KallyAI phone calls"))
            .with_instructions(format!("{sandbox}{INSTRUCTIONS}"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = ListToolsResult::with_all_items(tools::list());
        // The newest protocol version requires these caching hints.
        Ok(tools.with_ttl_ms(0).with_cache_scope(CacheScope::Public))
    }

    /// Runs a tool. If the client cancels the tool call, a phone call that was already requested
    /// continues.
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let cancelled = context.ct.clone();
        tokio::select! {
            () = cancelled.cancelled() => {
                Err(ErrorData::internal_error("the request was canceled", None))
            }
            response = self.respond(request, context) => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_schemas_have_no_unneeded_keywords() {
        for tool in tools::list() {
            let schema = serde_json::to_string(&tool.input_schema).unwrap();
            for noise in ["$schema", "default", "title", "format", "null", "writeOnly"] {
                assert!(!schema.contains(&format!("\"{noise}\"")), "{schema}");
            }
            for (_, property) in tool.input_schema["properties"].as_object().unwrap() {
                assert!(property["type"].is_string() && property["description"].is_string());
            }
        }
    }
}
