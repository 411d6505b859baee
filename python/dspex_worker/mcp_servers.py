"""MCP servers over stdio and HTTP: connected when first wanted, kept, tools as data.

A connection is entered and left in one task, as the protocol's library wants it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import threading
from collections.abc import Awaitable
from typing import Any, TypeVar

from . import registered, serialize, waiting
from .errors import Refusal, first_line

T = TypeVar("T")

_CONNECT_SECONDS = 30.0
# As long as an LM call without a deadline of its own: a tool may have much to do, but a
# server that is gone must not hold a run for ever.
_CALL_SECONDS = 600.0
_lock = threading.Lock()
_connections: dict[bytes, _Connection] = {}


class _Connection:
    """One server, held open by a task of its own."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self.definition = definition
        self.client: Any = None
        self.failure: BaseException | None = None
        self.ended = False
        self._ready = asyncio.Event()
        self._task = asyncio.ensure_future(self._serve())

    async def ready(self) -> Any:
        """The client, once it is connected."""
        try:
            await self.within(_CONNECT_SECONDS, self._ready.wait())
        except Refusal:
            self._task.cancel()
            raise
        if self.failure is not None:
            raise self.refusal(_reason(self.failure)) from self.failure
        return self.client

    async def _serve(self) -> None:
        try:
            async with _client(self.definition) as client:
                self.client = client
                self._ready.set()
                await asyncio.Event().wait()
        except BaseException as error:
            self.failure = error
        finally:
            self.ended = True
            self._ready.set()

    async def within(self, seconds: float, asked: Awaitable[T]) -> T:
        """What the server was asked, unless it takes longer than this."""
        try:
            return await asyncio.wait_for(asked, seconds)
        except asyncio.TimeoutError:
            raise self.refusal(f"it did not answer within {seconds:.0f} s", "timeout") from None

    def refusal(self, reason: str, klass: str = "python_runtime") -> Refusal:
        """Why the server is of no use."""
        name = self.definition.get("name")
        what = "the address" if self.definition.get("url") else "the command and its output"
        return Refusal(
            "mcp_server_failed",
            f"the MCP server `{name}` cannot be used: {reason}",
            klass=klass,
            strategy="retry",
            hint=f"check {what}; `:mcp rm {name}` forgets the server",
        )


def define(arguments: dict[str, Any]) -> dict[str, Any]:
    """The server and its tools, for a `register_mcp_server` request."""
    if importlib.util.find_spec("mcp") is None:
        raise Refusal(
            "mcp_missing",
            "MCP servers need the package `mcp`",
            klass="import",
            hint="install it with `%pip install mcp`",
        )
    server = _definition(arguments)
    listed: list[Any] = waiting.run(_list(server))
    approval = str(arguments.get("approval") or "ask")
    tools = [_tool(server["name"], one, approval) for one in listed]
    return {"server": server, "tools": tools}


def call(server: str, tool: str, arguments: dict[str, Any]) -> Any:
    """Call a tool of a registered server."""
    definition = registered.find("servers", server)
    if definition is None:
        raise Refusal("unknown_server", f"there is no MCP server `{server}` any more")
    return waiting.run(_call(definition, tool, arguments))


def _definition(arguments: dict[str, Any]) -> dict[str, Any]:
    name = str(arguments.get("name") or "")
    if not name.replace("-", "_").isidentifier():
        raise Refusal("invalid_name", f"`{name}` is no name of a server", hint="use letters and _")
    command, url = arguments.get("command"), arguments.get("url")
    if bool(command) == bool(url):
        raise Refusal(
            "missing_argument",
            "an MCP server has either a `command` or a `url`",
            hint="`:mcp add time python -m mcp_server_time`",
        )
    server: dict[str, Any] = {"name": name}
    if url:
        if not str(url).startswith(("http://", "https://")):
            raise Refusal("invalid_url", f"`{url}` is no address", hint="begin it with http://")
        server["url"] = str(url)
        return server
    given: Any = command.split() if isinstance(command, str) else command
    words = [str(word) for word in given]
    if shutil.which(words[0]) is None:
        raise Refusal("unknown_program", f"there is no program `{words[0]}`", hint="check PATH")
    env = arguments.get("env") or []
    server["command"] = words
    server["env"] = [env] if isinstance(env, str) else list(env)
    return server


def _tool(server: str, tool: Any, approval: str) -> dict[str, Any]:
    from dspy.utils.mcp import convert_mcp_tool

    name = str(tool.name)
    other = registered.find("tools", name)
    if other is not None and other.get("source", {}).get("server") != server:
        name = f"{server}_{name}".replace("-", "_")
    return {
        "name": name,
        "desc": str(tool.description or ""),
        "args": serialize.plain(convert_mcp_tool(None, tool).args or {}),  # type: ignore[arg-type]
        "approval": approval,
        "source": {"from": "server", "server": server, "tool": str(tool.name)},
    }


def _client(definition: dict[str, Any]) -> Any:
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters, get_default_environment

    if definition.get("url"):
        return Client(definition["url"])
    words = definition["command"]
    given = {key: os.environ[key] for key in definition.get("env") or [] if key in os.environ}
    # A server may be a module of this environment.
    environment = {**get_default_environment(), "PATH": os.environ.get("PATH", ""), **given}
    return Client(StdioServerParameters(command=words[0], args=words[1:], env=environment))


def _connection(definition: dict[str, Any]) -> _Connection:
    key = serialize.dumps(definition)
    with _lock:
        found = _connections.get(key)
        if found is None or found.ended:
            found = _connections[key] = _Connection(definition)
    return found


async def _list(definition: dict[str, Any]) -> list[Any]:
    connection = _connection(definition)
    client = await connection.ready()
    tools: list[Any] = []
    cursor: str | None = None
    while len(tools) < 1000:
        page = await connection.within(_CONNECT_SECONDS, client.list_tools(cursor=cursor))
        tools.extend(page.tools)
        cursor = getattr(page, "next_cursor", None)
        if not cursor:
            break
    return tools


async def _call(definition: dict[str, Any], tool: str, arguments: dict[str, Any]) -> Any:
    from dspy.utils.mcp import _convert_mcp_tool_result

    connection = _connection(definition)
    client = await connection.ready()
    answer = await connection.within(_CALL_SECONDS, client.call_tool(tool, arguments))
    return _convert_mcp_tool_result(answer)


def _reason(error: BaseException) -> str:
    """The first of several errors says what it is about."""
    inner = getattr(error, "exceptions", None)
    return _reason(inner[0]) if inner else first_line(error)
