//! Operations on tools, MCP servers and the user's own modules.

use super::{core, may, need, run};
use crate::operation::{Field, Kind, Operation};
use crate::session::event::RunKind;

const NAME: Field = need("name", Kind::Text, "Its name.");
const NAMED: &[Field] = &[need("name", Kind::Text, "Its name.")];
const APPROVAL: Kind = Kind::OneOf(&["allow", "ask", "deny"]);

pub(super) const ROWS: &[Operation] = &[
    run(
        "register_tool",
        "Makes a function a tool: one of a file or of the notebook, or a sample.",
        RunKind::Operation,
        &[
            may(
                "name",
                Kind::Text,
                "Its name (default: that of the function).",
            ),
            may("file", Kind::Text, "Python file that has the function."),
            may(
                "function",
                Kind::Text,
                "Name of the function, in the file or in the notebook.",
            ),
            may(
                "sample",
                Kind::OneOf(&["fetch_documentation", "analyze_code", "run_tests"]),
                "One of the workbench's own.",
            ),
            may("desc", Kind::Text, "What it does (default: its docstring)."),
            may(
                "approval",
                APPROVAL,
                "Whether each call is allowed, asked for or denied (default `allow`, for `run_tests` `ask`).",
            ),
        ],
        &[
            need("name", Kind::Text, "Its name."),
            need("desc", Kind::Text, "What it does."),
            need("args", Kind::Object, "JSON Schema of each argument."),
            need("approval", Kind::Text, "Its policy."),
        ],
    ),
    core(
        "list_tools",
        "Lists the tools, and calls that wait for approval.",
        &[],
        &[
            need(
                "tools",
                Kind::List,
                "`{name, desc, args, approval, source}`.",
            ),
            need("waiting", Kind::List, "`{id, tool, run, arguments}`."),
        ],
    ),
    core("remove_tool", "Forgets a tool.", &[NAME], NAMED),
    core(
        "set_tool_approval",
        "Says whether calls of a tool are allowed, asked for or denied.",
        &[NAME, need("approval", APPROVAL, "The policy.")],
        NAMED,
    ),
    core(
        "answer_approval",
        "Answers a call that waits for approval: the oldest, unless `id` says which.",
        &[
            need(
                "decision",
                Kind::OneOf(&["allow", "allow_run", "deny"]),
                "`allow_run` allows this tool for the rest of the run.",
            ),
            may("id", Kind::Count, "Number of the call."),
        ],
        &[
            need("tool", Kind::Text, "The tool."),
            need("allowed", Kind::Bool, "Whether it may be called."),
        ],
    ),
    run(
        "call_tool",
        "Calls a tool, under its policy.",
        RunKind::Operation,
        &[NAME, may("arguments", Kind::Object, "Its arguments.")],
        &[need("result", Kind::Any, "What it gave.")],
    ),
    run(
        "register_mcp_server",
        "Starts or reaches an MCP server and registers its tools.",
        RunKind::Operation,
        &[
            NAME,
            may(
                "command",
                Kind::Names,
                "Program and arguments of a server over stdio.",
            ),
            may("url", Kind::Text, "Address of a server over HTTP."),
            may(
                "env",
                Kind::Names,
                "Variables it gets beside the usual ones.",
            ),
            may("approval", APPROVAL, "Policy of its tools (default `ask`)."),
        ],
        &[
            need("server", Kind::Object, "The server."),
            need("tools", Kind::List, "Its tools."),
        ],
    ),
    core(
        "list_mcp_servers",
        "Lists the MCP servers.",
        &[],
        &[need("servers", Kind::List, "`{name, command, url}`.")],
    ),
    core(
        "remove_mcp_server",
        "Forgets an MCP server and its tools.",
        &[NAME],
        NAMED,
    ),
    run(
        "register_module",
        "Makes a class of a Python file a module that can be asked for by name.",
        RunKind::Operation,
        &[
            NAME,
            need(
                "file",
                Kind::Text,
                "Python file; read again when it changes.",
            ),
            may(
                "class",
                Kind::Text,
                "The class (default: the one module in the file).",
            ),
        ],
        &[
            need("name", Kind::Text, "Its name."),
            need("file", Kind::Text, "The file."),
            need("class", Kind::Text, "The class."),
        ],
    ),
    core(
        "remove_module",
        "Forgets a module of yours.",
        &[NAME],
        NAMED,
    ),
];
