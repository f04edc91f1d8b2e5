use crate::mcp::{INSTRUCTIONS, Server};

/// Maximum length of all schemas and instructions, which clients send in every conversation.
const MAX_LENGTH: usize = 8_800;

#[test]
fn schemas_have_no_superfluous_keywords() {
    let tools = Server::tool_router().list_all();
    assert_eq!(tools.len(), 11);
    for tool in &tools {
        let schema = serde_json::to_string(&tool.input_schema).unwrap();
        for noise in ["$schema", "default", "title", "format", "null", "writeOnly"] {
            assert!(!schema.contains(&format!("\"{noise}\"")), "{schema}");
        }
        assert_eq!(tool.input_schema["additionalProperties"], false);
        for (_, property) in tool.input_schema["properties"].as_object().unwrap() {
            assert!(property["type"].is_string() && property["description"].is_string());
        }
    }
    let length = serde_json::to_string(&tools).unwrap().len() + INSTRUCTIONS.len();
    assert!(length <= MAX_LENGTH, "{length}");
}
