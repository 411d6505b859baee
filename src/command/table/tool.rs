//! Tools, MCP servers and modules of the user's.

use super::{aka, argument, maybe, option, pairs, row, word};
use crate::command::Becomes::{Operation, With};
use crate::command::Group::Tool;
use crate::command::meaning::{approve, mcp_add, tool_call};
use crate::command::{Argument, Command, Completer, Shape};

const POLICY: Completer = Completer::OneOf(&["allow", "ask", "deny"]);
const APPROVAL: Argument = option("approval", POLICY, "whether its calls are allowed");
const TOOL: Argument = word("name", Completer::Tool, "its name");

pub(super) const ROWS: &[Command] = &[
    aka(
        &["tools", "tool list"],
        row(
            "tool",
            Tool,
            "Lists the tools, and calls that wait for approval.",
            &[],
            ":tool",
            Operation("list_tools"),
        ),
    ),
    row(
        "tool add",
        Tool,
        "Makes a function a tool: of a file, of the notebook, or a sample.",
        &[
            word("name", Completer::None, "its name"),
            option("file", Completer::File, "Python file that has it"),
            option(
                "function",
                Completer::None,
                "the function there, or in the notebook",
            ),
            option(
                "sample",
                Completer::OneOf(&["fetch_documentation", "analyze_code", "run_tests"]),
                "one of the workbench's own",
            ),
            option("desc", Completer::None, "what it does"),
            APPROVAL,
        ],
        ":tool add docs sample=fetch_documentation",
        Operation("register_tool"),
    ),
    aka(
        &["tool remove"],
        row(
            "tool rm",
            Tool,
            "Forgets a tool.",
            &[TOOL],
            ":tool rm docs",
            Operation("remove_tool"),
        ),
    ),
    row(
        "tool policy",
        Tool,
        "Says whether calls of a tool are allowed, asked for or denied.",
        &[TOOL, word("approval", POLICY, "the policy")],
        ":tool policy docs ask",
        Operation("set_tool_approval"),
    ),
    row(
        "tool call",
        Tool,
        "Calls a tool, under its policy.",
        &[TOOL, pairs("arguments", Completer::None, "its arguments")],
        ":tool call docs topic=dspy.ReAct",
        With(tool_call),
    ),
    row(
        "approve",
        Tool,
        "Answers a call that waits for approval.",
        &[
            maybe(
                "decision",
                Completer::OneOf(&["allow", "allow_run", "deny"]),
                "`allow` unless said otherwise",
            ),
            option("id", Completer::None, "which call"),
        ],
        ":approve deny",
        With(approve),
    ),
    aka(
        &["mcp list"],
        row(
            "mcp",
            Tool,
            "Lists the MCP servers.",
            &[],
            ":mcp",
            Operation("list_mcp_servers"),
        ),
    ),
    row(
        "mcp add",
        Tool,
        "Starts or reaches an MCP server and registers its tools.",
        &[
            word("name", Completer::None, "its name"),
            argument(
                "command",
                Shape::Text,
                false,
                Completer::None,
                "program and arguments",
            ),
            option("url", Completer::None, "address of a server over HTTP"),
            option(
                "env",
                Completer::None,
                "a variable it gets beside the usual ones",
            ),
            APPROVAL,
        ],
        ":mcp add time python -m mcp_server_time",
        With(mcp_add),
    ),
    row(
        "mcp rm",
        Tool,
        "Forgets an MCP server and its tools.",
        &[word("name", Completer::Server, "its name")],
        ":mcp rm time",
        Operation("remove_mcp_server"),
    ),
    row(
        "module add",
        Tool,
        "Makes a class of a Python file a module with a name.",
        &[
            word("name", Completer::None, "its name"),
            word("file", Completer::File, "Python file that has it"),
            option("class", Completer::None, "the class there"),
        ],
        ":module add planner planner.py",
        Operation("register_module"),
    ),
    row(
        "module rm",
        Tool,
        "Forgets a module of yours.",
        &[word("name", Completer::Module, "its name")],
        ":module rm planner",
        Operation("remove_module"),
    ),
];
