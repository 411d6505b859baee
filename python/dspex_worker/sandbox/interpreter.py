"""DSPy's `PythonInterpreter` with limits that hold.

What the code of an LM does wrong (too long, too much, not allowed, Pyodide itself
brought down) is an error of that code: the LM is told, and may write another. A
sandbox that is lost on the way is replaced, with its tools and definitions.
"""

from __future__ import annotations

import ast
import inspect
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import _dspex
import dspy
from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError
from dspy.primitives.python_interpreter import PythonInterpreter
from dspy.utils.callback import with_callbacks

from .. import scope
from ..errors import first_line
from . import account, deno
from .child import Child, Gone, Late, TooMuch
from .limits import Limits, default, refused_import
from .spare import SPARES

# After the interrupt inside, code has this long to end before its process does.
_GRACE = 1.0
_FOREVER = 1e9
# Pyodide's own frames in a traceback.
_INNER_FRAME = re.compile(
    r'  File "/lib/python\d+\.zip/_?(?:pyodide|asyncio)/[^\n]*\n(?:    [^\n]*\n)*'
)
_stock_execute = inspect.unwrap(PythonInterpreter.execute)

HINTS = {
    "timeout": "write simpler code that does less work",
    "memory": "hold less data at a time",
    "output": "print less",
    "denied": "do without it",
    "crash": "write it in another way",
}


class Lost(CodeInterpreterError):
    """The process of a sandbox is gone, and with it what the code had defined."""


class Sandbox(PythonInterpreter):
    """Runs code in Deno and Pyodide, within `limits`."""

    # In the trace.
    label = "sandbox"

    def __init__(self, *arguments: Any, limits: Limits | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.limits = limits or default()
        # What the last piece of code did.
        self.last: account.CodeRun | None = None
        self._child: Child | None = None
        self._started: account.CodeRun | None = None
        self._last_words = ""
        self._sent = False
        self._until = _FOREVER
        self._definitions: list[tuple[str, dict[str, Any]]] = []

    @with_callbacks
    def start(self) -> None:
        """Take a sandbox, so that code need not wait for it."""
        self._started = account.CodeRun("", "sandbox")
        self._begin(self._started)

    @with_callbacks
    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        """Run a piece of code; its failures, limits included, are `CodeExecutionError`."""
        run = self.last = account.CodeRun(code, "sandbox", safe=not self._granted())
        started, self._started = self._started, None
        if started is not None:
            run.start_ms, run.warm = started.start_ms, started.warm
        self._sent = False
        began = time.monotonic()
        try:
            self._refuse_imports(code)
            self._begin(run)
            began = time.monotonic()
            result = self._execute(code, variables)
            self._remember(code, variables or {})
            return result
        except (CodeExecutionError, SyntaxError) as error:
            raise self._explained(run, error) from None
        except CodeInterpreterError as error:
            run.status, run.error = "crash", first_line(error)
            raise
        except BaseException as error:
            run.status, run.error = "cancelled", first_line(error)
            self._forget()
            raise
        finally:
            run.duration_ms = (time.monotonic() - began) * 1000
            if self._sent:
                self._report(run)

    @with_callbacks
    def shutdown(self) -> None:
        """End the sandbox and remove its folder."""
        self._session_ended = True
        used = self._child is not None
        self._forget()
        self._owner_thread = None
        if used:
            SPARES.prepare()

    @property
    def folder(self) -> Path | None:
        """The working folder, on this machine, while there is a sandbox."""
        return self._child.folder if self._child is not None else None

    def _execute(self, code: str, variables: dict[str, Any] | None) -> Any:
        assert self._child is not None
        self._child.arm(self.limits)
        self._sent = True
        self._until = time.monotonic() + self.limits.timeout + _GRACE
        try:
            return _stock_execute(self, code, variables)
        except Lost as lost:
            # Its words begin with what happened, as a Python error's do.
            raise CodeExecutionError(str(lost)) from None
        finally:
            self._until = _FOREVER

    def _begin(self, run: account.CodeRun) -> None:
        """Have a running child, with the tools and definitions of the one before."""
        self._check_session_active()
        if self._child is not None and self._child.poll() is None:
            return
        self._forget()
        began = time.monotonic()
        try:
            more = self._granted()
            if more:
                self._child = SPARES.start(more, _stop_if_cancelled)
            else:
                self._child, run.warm = SPARES.take(_stop_if_cancelled)
        except deno.Unavailable as error:
            raise CodeInterpreterError(f"no code can be run: {error}") from None
        except (Gone, Late, OSError, RuntimeError) as error:
            raise CodeInterpreterError(f"the sandbox does not start: {first_line(error)}") from None
        self.deno_process = self._child
        run.start_ms = (time.monotonic() - began) * 1000
        for code, variables in self._definitions:
            self._execute(code, variables)

    def _granted(self) -> dict[str, list[str]]:
        """Permissions that were asked for when this object was made."""
        asked = {
            "read": self.enable_read_paths,
            "write": self.enable_write_paths,
            "env": self.enable_env_vars,
            "net": self.enable_network_access,
        }
        return {kind: [str(one) for one in values] for kind, values in asked.items() if values}

    def _refuse_imports(self, code: str) -> None:
        restricted = () if self.enable_network_access else self.limits.restricted
        module = refused_import(code, restricted)
        if module is not None:
            raise CodeExecutionError(f"PermissionError: the sandbox does not allow `{module}`")

    def _remember(self, code: str, variables: dict[str, Any]) -> None:
        """Keep what only defines things: it can be run again in another process."""
        if _is_facade(variables) or _only_defines(code):
            self._definitions.append((code, variables))

    def _explained(self, run: account.CodeRun, error: Exception) -> Exception:
        """The error in words that help whoever wrote the code."""
        text = first_line(error)
        run.status = _status_of(error, text)
        if self._child is None:
            run.stderr = self._last_words
        if run.status == "timeout":
            text = f"TimeoutError: stopped after {self.limits.timeout:g} s"
        elif run.status == "memory":
            text = f"MemoryError: more than {self.limits.memory_mb} MB were needed"
        elif run.status == "failed":
            run.error = text
            return error
        run.error = f"{text}; {HINTS[run.status]}"
        if self._child is None:
            run.error += ". Variables are lost, functions are kept"
        return CodeExecutionError(run.error)

    def _report(self, run: account.CodeRun) -> None:
        """Fetch what was printed; both streams, apart."""
        if self._child is None or run.status == "crash":
            return
        try:
            told = self._child.ask("report", time.monotonic() + 5)
        except (Gone, Late, TooMuch):
            self._forget()
            return
        run.stdout = str(told.get("stdout", ""))
        run.stderr = _INNER_FRAME.sub("", str(told.get("stderr", "")))
        memory = told.get("memory_mb")
        run.memory_mb = memory if isinstance(memory, int) else 0
        if run.status == "timeout" or "\n_DSPyFinalOutput: " in run.stderr:
            # That of the clock's interrupt, or of `SUBMIT`: neither is the code's error.
            run.stderr = run.stderr.partition("Traceback (most recent call last)")[0]

    def _forget(self) -> None:
        """End the child; the next one gets everything anew."""
        child, self._child, self.deno_process = self._child, None, None
        self._tools_registered = self._mounted_files = False
        if child is not None:
            child.kill()

    # The rest replaces how DSPy speaks to its process.

    def _ensure_deno_process(self) -> None:
        if self._child is None:
            raise Lost("the sandbox is gone")

    def _write_message(self, message: str, context: str) -> None:
        self._spoken(lambda child: child.write_line(message, self._until, _stop_if_cancelled))

    def _read_response_line(self, context: str) -> str:
        most = self.limits.output
        return self._spoken(lambda child: child.read_line(self._until, _stop_if_cancelled, most))

    def _spoken(self, speak: Callable[[Child], Any]) -> Any:
        child = self._child
        if child is None:
            raise Lost("the sandbox is gone")
        try:
            return speak(child)
        except Late:
            self._lose("TimeoutError: stopped")
        except TooMuch:
            self._lose(f"OutputError: more than {self.limits.output} bytes were printed")
        except Gone:
            words = child.last_words()
            told = "MemoryError" if _ran_out_of_memory(words) else "CrashError"
            self._lose(f"{told}: the sandbox ended ({child.ended_how()})")

    def _lose(self, message: str) -> NoReturn:
        self._last_words = self._child.last_words() if self._child else ""
        self._forget()
        # Whoever wrote the code will try again.
        SPARES.prepare()
        raise Lost(message)

    def _raise_terminal_error(self, message: str, cause: Exception | None = None) -> NoReturn:
        self._lose(f"CrashError: {message}")

    def _handle_tool_call(self, request: dict[str, Any]) -> None:
        began, left = time.monotonic(), self._until
        # Time the host needs is not the code's.
        self._until = _FOREVER
        try:
            super()._handle_tool_call(request)
        finally:
            self._until = left + (time.monotonic() - began)


def install() -> None:
    """Make it what DSPy uses, and what `dspy.PythonInterpreter` names."""
    dspy.PythonInterpreter = Sandbox  # type: ignore[misc]
    dspy.configure(interpreter_factory=Sandbox)


def _stop_if_cancelled() -> None:
    run = scope.run()
    if run is not None and _dspex.is_cancelled(run):
        raise _dspex.RunCancelled("the run was cancelled")


def _status_of(error: Exception, text: str) -> str:
    if isinstance(error, SyntaxError):
        return "failed"
    for start, status in (
        ("TimeoutError: stopped", "timeout"),
        ("KeyboardInterrupt", "timeout"),  # the clock inside
        ("MemoryError", "memory"),
        ("OutputError", "output"),
        ("CrashError", "crash"),
        ("PermissionError", "denied"),
    ):
        if text.startswith(start):
            return status
    return "failed"


def _is_facade(variables: dict[str, Any] | None) -> bool:
    """Whether it is DSPy's own code, which lets code in there call modules out here."""
    return any(name.startswith("__dspy") for name in variables or ())


def _ran_out_of_memory(words: str) -> bool:
    return any(sign in words for sign in ("out of memory", "OOM", "allocation failed"))


def _only_defines(code: str) -> bool:
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return bool(body) and all(isinstance(one, kinds) for one in body)
