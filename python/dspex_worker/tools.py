"""Tools: functions that agents call, under a policy of their own (R37).

A registered tool is data (`registered`); here it becomes a `dspy.Tool` whose calls
are allowed, asked for, or denied. Functions of the notebook that were not registered
are the user's own code and are called as they are.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any

import _dspex
import dspy

from . import files, mcp_servers, registered, sample_tools, scope, serialize, waiting
from .errors import Refusal, unknown
from .kernel import shell

_holds = itertools.count(1)


class ToolRefused(Exception):
    """A call that the policy, or the user, did not allow: the agent observes it."""


def define(arguments: dict[str, Any]) -> dict[str, Any]:
    """The definition of a `register_tool` request."""
    source, function = _source(arguments)
    made = dspy.Tool(function, name=arguments.get("name"), desc=arguments.get("desc"))
    name = str(made.name or "")
    if not name.isidentifier():
        raise Refusal("invalid_name", f"`{name}` is no name of a tool", hint="give it a `name`")
    usual = "ask" if source.get("sample") == "run_tests" else "allow"
    return {
        "name": name,
        "desc": str(made.desc or ""),
        "args": serialize.plain(made.args or {}),
        "approval": str(arguments.get("approval") or usual),
        "source": source,
    }


def find(name: str) -> Any:
    """The tool of a name: a registered one, else a function of the notebook."""
    definition = registered.find("tools", name)
    if definition is not None:
        return make(definition)
    space = shell.namespace()
    found = space.get(name)
    if callable(found):
        return _plain(found)
    refusal = unknown("tool", name, [*registered.names("tools"), *_own_functions(space)])
    if name in sample_tools.SAMPLES:
        refusal.hint = f"it is a sample: `:tool add {name} sample={name}` makes it a tool"
    elif not refusal.hint:
        refusal.hint = "define a function in a cell, or make one a tool with `:tool add`"
    raise refusal


def _own_functions(space: dict[str, Any]) -> list[str]:
    """Functions defined in cells; not those that IPython puts there."""
    return [
        name
        for name, value in space.items()
        if inspect.isfunction(value)
        and value.__module__ == space.get("__name__")
        and not name.startswith("_")
    ]


def all_of(given: Any) -> list[Any]:
    """The tools of an option: names and functions."""
    listed: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    return [_plain(tool) if callable(tool) else find(str(tool)) for tool in listed]


def refuse_guarded(module: str, given: list[Any]) -> None:
    """CodeAct hands the source of its tools to the sandbox, past any policy."""
    for tool in given:
        name = str(getattr(tool, "name", ""))
        definition = registered.find("tools", name)
        if definition is None:
            continue
        if definition["approval"] != "allow" or definition["source"]["from"] == "server":
            raise Refusal(
                "tool_not_allowed",
                f"{module} runs a tool's source in the sandbox: `{name}` is not guarded there",
                hint="use ReAct, or a function whose calls are allowed",
            )


def make(definition: dict[str, Any]) -> Any:
    """A `dspy.Tool` whose calls obey the policy of its definition."""
    name, source = definition["name"], definition["source"]
    if source["from"] == "server":
        server, tool = source["server"], source["tool"]

        def call(**arguments: Any) -> Any:
            return mcp_servers.call(server, tool, arguments)

        types = dict.fromkeys(definition["args"], Any)
        guarded = _guarded(call, name)
        return dspy.Tool(guarded, name, definition["desc"], definition["args"], types)
    function = _function(name, source)
    told = dspy.Tool(function)
    guarded = _guarded(function, name)
    return dspy.Tool(guarded, name, definition["desc"], told.args, told.arg_types)


def _guarded(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = dict(kwargs)
        if args:
            given.update(inspect.signature(function).bind(*args, **kwargs).arguments)
        _permit(name, given)
        return _finished(function(*args, **kwargs))

    return call


def _plain(function: Any) -> Any:
    """A function of the notebook; an asynchronous one is waited for."""
    if not inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return waiting.run(function(*args, **kwargs))

    return call


def _finished(result: Any) -> Any:
    return waiting.run(result) if inspect.iscoroutine(result) else result


def _permit(name: str, arguments: dict[str, Any]) -> None:
    """Return when the call may go on; a person who is asked may take any time."""
    definition = registered.find("tools", name)
    policy = "deny" if definition is None else definition["approval"]
    if policy == "allow":
        return
    if policy == "deny":
        raise ToolRefused(f"`{name}` is denied by its policy")
    run = scope.run()
    exact = serialize.dumps(arguments)
    span = f"{_dspex.worker}-{run or 0}-hold{next(_holds)}"
    _dspex.span_start(span, scope.active(), run, "hold", f"approve {name}", exact)
    outcome: str | None = "cancelled"
    try:
        allowed, reason = _dspex.request_approval(run, scope.cell_of(run), name, exact)
        outcome = None if allowed else reason
    finally:
        _dspex.span_end(span, None, outcome)
    if not allowed:
        raise ToolRefused(reason)


def _source(arguments: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    given = [key for key in ("file", "sample") if arguments.get(key)]
    function = arguments.get("function")
    if len(given) > 1 or not (given or function):
        raise Refusal(
            "missing_argument",
            "say where the tool is: a `file`, a `function` of the notebook, or a `sample`",
        )
    if arguments.get("sample"):
        source: dict[str, Any] = {"from": "sample", "sample": str(arguments["sample"])}
    elif arguments.get("file"):
        path = files.absolute(arguments["file"])
        source = {"from": "file", "file": path, "function": _one_of(path, function, arguments)}
    else:
        source = {"from": "notebook", "function": str(function)}
    return source, _function(str(function or ""), source)


def _one_of(path: str, function: Any, arguments: dict[str, Any]) -> str:
    """The function meant: the one named, the tool's name, or the one there is."""
    module = files.load(path)
    own = [
        key
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and key[0] != "_"
    ]
    wanted = function or (arguments.get("name") if arguments.get("name") in own else None)
    if wanted is None and len(own) == 1:
        wanted = own[0]
    if wanted not in own:
        raise unknown("function", str(wanted or arguments.get("name") or ""), own)
    return str(wanted)


def _function(name: str, source: dict[str, Any]) -> Any:
    if source["from"] == "sample":
        found = sample_tools.SAMPLES.get(source["sample"])
        if found is None:
            raise unknown("sample tool", source["sample"], sample_tools.SAMPLES)
        return found
    wanted = source["function"]
    if source["from"] == "file":
        found = vars(files.load(source["file"])).get(wanted)
        if callable(found):
            return found
        raise Refusal("stale_tool", f"`{source['file']}` has no function `{wanted}` any more")
    found = shell.namespace().get(wanted)
    if callable(found):
        return found
    raise Refusal(
        "stale_tool",
        f"the function `{wanted}` of the tool `{name}` is not in the notebook",
        hint="run the cell that defines it again",
    )
