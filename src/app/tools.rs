//! Operations on tools, MCP servers and the user's modules that need no Python, and
//! what a worker is told of them.

use serde_json::{Map, Value, json};

use super::state::State;
use super::update::known;
use crate::protocol::error::OperationError;
use crate::session::event::{Approval, EventBody, ModuleDef, ServerDef, ToolDef};
use crate::session::state::SessionState;

/// Everything registered that a request may name, as the worker takes it.
pub(super) fn registered(session: &SessionState) -> Value {
    json!({
        "seq": session.registered_seq,
        "tools": session.tools.values().collect::<Vec<_>>(),
        "servers": session.servers.values().collect::<Vec<_>>(),
        "modules": session.modules.values().collect::<Vec<_>>(),
    })
}

/// Carries an operation out; `None` where it is no business of this file.
pub(super) fn operation(
    state: &State,
    operation: &str,
    arguments: &Map<String, Value>,
) -> Option<Result<(Vec<EventBody>, Value), OperationError>> {
    let session = &state.session;
    let name = arguments
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let named = || json!({ "name": name });
    Some(match operation {
        "list_tools" => {
            let waiting = state.approvals.waiting.iter().map(|waiting| {
                json!({"id": waiting.id, "tool": waiting.wanted.tool, "run": waiting.wanted.run,
                    "arguments": waiting.wanted.arguments})
            });
            let tools: Vec<&ToolDef> = session.tools.values().collect();
            let answer = json!({"tools": tools, "waiting": waiting.collect::<Vec<_>>()});
            Ok((Vec::new(), answer))
        }
        "remove_tool" => known(&name, "tool", "unknown_tool", session.tools.keys())
            .map(|()| (vec![EventBody::ToolRemoved { name: name.clone() }], named())),
        "set_tool_approval" => set_approval(session, &name, arguments),
        "list_mcp_servers" => {
            let servers: Vec<&ServerDef> = session.servers.values().collect();
            Ok((Vec::new(), json!({ "servers": servers })))
        }
        "remove_mcp_server" => known(
            &name,
            "MCP server",
            "unknown_server",
            session.servers.keys(),
        )
        .map(|()| {
            (
                vec![EventBody::ServerRemoved { name: name.clone() }],
                named(),
            )
        }),
        "remove_module" => {
            known(&name, "module", "unknown_module", session.modules.keys()).map(|()| {
                (
                    vec![EventBody::ModuleRemoved { name: name.clone() }],
                    named(),
                )
            })
        }
        _ => return None,
    })
}

fn set_approval(
    session: &SessionState,
    name: &str,
    arguments: &Map<String, Value>,
) -> Result<(Vec<EventBody>, Value), OperationError> {
    known(name, "tool", "unknown_tool", session.tools.keys())?;
    let approval: Approval = arguments
        .get("approval")
        .cloned()
        .and_then(|approval| serde_json::from_value(approval).ok())
        .unwrap_or_default();
    let tool = session.tools.get(name).cloned().unwrap_or_default();
    let tool = Box::new(ToolDef { approval, ..tool });
    let events = vec![EventBody::ToolRegistered { tool }];
    Ok((events, json!({"name": name, "approval": approval})))
}

/// Events for what the worker made of `register_…`.
pub(super) fn made(operation: &str, answer: &Value) -> Vec<EventBody> {
    fn read<T: serde::de::DeserializeOwned>(value: Option<&Value>) -> Option<T> {
        serde_json::from_value(value?.clone()).ok()
    }
    match operation {
        "register_tool" => {
            let tool = read::<ToolDef>(Some(answer)).map(Box::new);
            tool.map(|tool| EventBody::ToolRegistered { tool })
                .into_iter()
                .collect()
        }
        "register_mcp_server" => {
            let server = read::<ServerDef>(answer.get("server"));
            let tools: Vec<ToolDef> = read(answer.get("tools")).unwrap_or_default();
            let server = server.map(|server| EventBody::ServerRegistered { server });
            let tools = tools.into_iter().map(|tool| EventBody::ToolRegistered {
                tool: Box::new(tool),
            });
            server.into_iter().chain(tools).collect()
        }
        "register_module" => {
            let module = read::<ModuleDef>(Some(answer));
            module
                .map(|module| EventBody::ModuleRegistered { module })
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}
