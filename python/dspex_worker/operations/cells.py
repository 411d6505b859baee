"""Cells, the kernel's LM, and rebuilding a kernel's names: all on the main thread."""

from __future__ import annotations

import asyncio
import builtins
import os
import sys
from typing import Any

import _dspex

from .. import datasets, errors, link, lms, programs, registered, signatures
from ..kernel import names, shell, streams
from .registry import Job, operation


@operation("run_cell")
def run_cell(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Run a cell of Python; its outputs go as frames, its end is the answer."""
    source = str(arguments.get("source") or "")
    kernel = shell.get()
    kernel.last_traceback = []
    streams.mend()
    if arguments.get("file"):
        _stand_in(str(arguments["file"]), arguments.get("argv"), kernel)
    _dspex.cell_began(job.cell or 0, job.run or 0)
    error: BaseException | None = None
    try:
        done = kernel.run_cell(source, store_history=True, cell_id=str(job.cell or 0))
        error = done.error_before_exec or done.error_in_exec
    except BaseException as raised:
        error = raised
    finally:
        _end_cell()
    answer: dict[str, Any] = {"status": "ok", "execution_count": kernel.execution_count - 1}
    if error is not None:
        answer["status"] = "interrupted" if _is_interrupt(error) else "error"
        described = errors.describe(error, "run_cell", cell=True)
        described["traceback"] = shell.traceback_of(error)
        if answer["status"] == "interrupted":
            described["class"] = "interrupted"
            described["message"] = "stopped by the user"
        answer["error"] = described
        streams.flush()
        streams.emit({"output": "error", "error": described})
    listed = names.listing(kernel.user_ns, kernel.user_ns_hidden, job.cell)
    answer.update(names.changes(kernel.user_ns, listed))
    link.send("names", {"names": listed})
    return answer


def _stand_in(file: str, argv: Any, kernel: Any) -> None:
    """Give a script what it would have when started by itself."""
    more = [argv] if isinstance(argv, str) else list(argv or [])
    sys.argv = [file, *more]
    path = os.path.abspath(file)
    folder = os.path.dirname(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    kernel.user_ns["__file__"] = kernel.user_ns_hidden["__file__"] = path


def _end_cell() -> None:
    while True:
        try:
            streams.flush()
            _dspex.cell_ended()
            return
        except KeyboardInterrupt:  # it came between the cell and its end
            continue


def _is_interrupt(error: BaseException) -> bool:
    return isinstance(error, (KeyboardInterrupt, asyncio.CancelledError, _dspex.RunCancelled))


@operation("set_lm")
def set_lm(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Make a profile the kernel's LM (`dspy.configure`), or none."""
    import dspy

    spec = arguments.get("lm")
    dspy.configure(lm=None if spec is None else lms.make(spec))
    return {"lm": None if spec is None else spec.get("profile")}


@operation("restore")
def restore(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Rebuild and bind what the session registered."""
    registered.update(arguments.get("registered"))
    space = shell.get().user_ns
    restored: list[str] = []
    failed: list[dict[str, str]] = []
    if arguments.get("lm") is not None:
        try:
            set_lm(arguments, job)
        except Exception as error:
            failed.append({"name": "lm", "reason": errors.first_line(error)})

    def bind(name: str, make: Any, data: Any) -> None:
        if not name.isidentifier() or hasattr(builtins, name):
            return
        try:
            space[name] = make(data)
        except Exception as error:
            failed.append({"name": name, "reason": errors.first_line(error)})
            return
        names.remember(name, space[name])
        restored.append(name)

    for name, data in dict(arguments.get("signatures") or {}).items():
        bind(name, signatures.parse, data)
    for data in arguments.get("programs") or []:
        name = str(data.get("name"))
        if data.get("unportable"):
            failed.append({"name": name, "reason": str(data["unportable"])})
        else:
            bind(name, programs.build, data)
    for data in arguments.get("datasets") or []:
        bind(str(data.get("name")), datasets.examples, data)
    return {"restored": restored, "failed": failed}
