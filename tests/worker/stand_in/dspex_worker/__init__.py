"""A stand-in for the product's package: enough to try the worker binary alone.

Cells are plain `exec`; what a cell leaves in `result` is its answer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from typing import Any

import _dspex

SCOPE: dict[str, Any] = {"__name__": "__main__", "_dspex": _dspex}


def send(kind: str, number: int, payload: object) -> None:
    _dspex.send(kind, number, json.dumps(payload).encode())


def call(run: int | None = None, cell: int | None = None, body: bytes = b"{}") -> tuple:
    """One LM request that blocks."""
    return _dspex.lm_call(
        None, None, run, cell, "POST", "http://lm.invalid/v1", [], body, None, True, None, None
    )


def say(cell: int, run: int, text: str) -> None:
    send("cell_output", 0, {"cell": cell, "run": run, "output": {"output": "stream", "text": text}})


def failure(error: BaseException) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "class": "python_runtime",
        "message": str(error),
        "traceback": traceback.format_exception(error),
    }


def answer(number: int, operation: str, request: dict[str, Any]) -> None:
    arguments = request["arguments"]
    if operation == "echo":
        send("answer", number, {"ok": True, "result": arguments})
    elif operation == "run_cell":
        run_cell(number, request)
    else:
        error = {"type": "unknown_operation", "class": "invalid_input", "message": operation}
        send("answer", number, {"ok": False, "error": error})


def run_cell(number: int, request: dict[str, Any]) -> None:
    cell, run = request["cell"], request["run"]
    SCOPE.update(cell=cell, run=run, call=call, result=None, say=lambda text: say(cell, run, text))
    reply: dict[str, Any]
    if request["lane"] == "main":
        _dspex.cell_began(cell, run)
    try:
        exec(compile(request["arguments"]["source"], "<cell>", "exec"), SCOPE)
        reply = {"ok": True, "result": {"status": "ok", "value": SCOPE["result"]}}
    except KeyboardInterrupt:
        reply = {"ok": True, "result": {"status": "interrupted"}}
    except BaseException as error:
        reply = {"ok": False, "error": failure(error)}
    finally:
        if request["lane"] == "main":
            _dspex.cell_ended()
    send("answer", number, reply)


def serve(lane: str) -> None:
    while (job := _dspex.wait(lane)) is not None:
        number, operation, payload, _run, _cell = job
        answer(number, operation, json.loads(payload))


def main() -> None:
    exec(os.environ.get("DSPEX_STAND_IN_START", ""))
    for lane in ("side", "run"):
        threading.Thread(target=serve, args=(lane,), daemon=True).start()
    found = {"executable": sys.executable, "prefix": sys.prefix, "path": sys.path}
    send(
        "ready",
        0,
        {
            "dspy": "stand-in",
            "tracing": "wrappers",
            "door": "transport",
            "packages": found,
            "startup_ms": 0.0,
        },
    )
    serve("main")
