"""Runs inside the sandbox, before any other code: says no in Python's own words,
and makes what code answers or raises fit for JSON.

Nothing here is a wall. The walls are Deno's permissions (no network, no
programs, no files but the working folder) and the limits of the process. Without
these words code would meet an operation that hangs, or one that ends Pyodide.
"""

from __future__ import annotations

from typing import Any


def _guard() -> None:
    import os
    import socket

    def refusal(what: str) -> Any:
        def refuse(*_args: Any, **_kwargs: Any) -> Any:
            raise PermissionError(what)

        return refuse

    programs = refusal("the sandbox starts no programs")
    for name in ("system", "popen", "fork", "forkpty", "kill", "killpg"):
        setattr(os, name, programs)
    for name in dir(os):
        if name.startswith(("exec", "spawn", "posix_spawn")):
            setattr(os, name, programs)

    network = refusal("the sandbox has no network")
    for name in ("connect", "connect_ex", "bind", "listen", "sendto"):
        setattr(socket.socket, name, network)
    for name in ("create_connection", "create_server", "getaddrinfo", "gethostbyname"):
        setattr(socket, name, network)


def _plain(value: Any) -> str | None:
    """A value as JSON; None where it has none."""
    import json

    def other(value: Any) -> Any:
        return list(value) if isinstance(value, (set, frozenset, tuple)) else repr(value)

    try:
        return json.dumps(value, default=other, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(repr(value))


def _tidy() -> None:
    """DSPy's runner sends the arguments of the last exception as JSON, whatever they are."""
    import json
    import sys

    error = getattr(sys, "last_exc", None)
    try:
        json.dumps(error.args if error else None, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        # A JavaScript error keeps its own arguments: another exception stands in.
        error = RuntimeError(str(error))
    setattr(sys, "last_exc", error)  # noqa: B010  not there before Python 3.12


def _offer(plain: Any, tidy: Any) -> None:
    import sys
    import types

    module = types.ModuleType("_dspex_guest")
    module.__dict__.update(plain=plain, tidy=tidy)
    sys.modules[module.__name__] = module


_guard()
_offer(_plain, _tidy)
del _guard, _offer, _plain, _tidy
