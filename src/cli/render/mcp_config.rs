//! The lines that tell a host of the MCP server.

use super::View;
use crate::error::Result;
use crate::mcp::config::{self, Host};
use crate::output::Line;

/// What to add to a host's configuration, alone on stdout, and on stderr where.
pub fn mcp_config(view: &View<'_>, host: Host, sandbox: bool) -> Result<()> {
    let config = config::lines(host, sandbox);
    if view.out.is_json() {
        return view.out.object(&serde_json::json!({ "place": config.place, "lines": config.lines }));
    }
    view.out.raw_text(&format!("{}\n", config.lines))?;
    view.out
        .note(&Line::new().text(&view.out.translate("These lines go into ")).text(config.place).text("."));
    Ok(())
}
