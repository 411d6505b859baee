"""Tools, MCP servers and the user's modules."""

from __future__ import annotations

from typing import Any

import dspy

from .. import mcp_servers, serialize, tools, user_modules
from ..errors import Refusal, first_line
from .registry import Job, operation


@operation("register_tool")
def register_tool(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """A tool as data, after it was found (R37)."""
    return tools.define(arguments)


@operation("register_mcp_server")
def register_mcp_server(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """A server and its tools as data."""
    return mcp_servers.define(arguments)


@operation("register_module")
def register_module(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """A module of a file as data (R35)."""
    return user_modules.define(arguments)


@operation("call_tool")
def call_tool(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Call a tool under its policy."""
    found = tools.find(str(arguments.get("name") or ""))
    tool: Any = found if isinstance(found, dspy.Tool) else dspy.Tool(found)
    try:
        result = tool(**(arguments.get("arguments") or {}))
    except tools.ToolRefused as error:
        raise Refusal("tool_refused", str(error)) from error
    except (ValueError, TypeError) as error:
        listed = ", ".join(f"`{name}`" for name in tool.args or {})
        raise Refusal(
            "invalid_input", first_line(error), hint=f"arguments: {listed or 'none'}"
        ) from error
    return {"result": serialize.plain(result)}
