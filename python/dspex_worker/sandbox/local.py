"""DSPy's `LocalInterpreter`, marked for what it is: no sandbox.

Its code has this user's files, environment and network. It is used only where a
request names it; time and memory are limited, nothing else is.
"""

from __future__ import annotations

import contextlib
import inspect
import resource
import time
from typing import Any

import dspy
from dspy.primitives.code_interpreter import CodeExecutionError
from dspy.utils.callback import with_callbacks

from .. import recording
from ..errors import first_line
from . import account
from .limits import MEGABYTE, Limits, default

_stock_start = inspect.unwrap(dspy.LocalInterpreter.start)
_stock_execute = inspect.unwrap(dspy.LocalInterpreter.execute)
WARNING = "unsafe: the code ran outside the sandbox, with this user's files and network"


class Local(dspy.LocalInterpreter):
    """Runs code in a plain Python of this machine."""

    # In the trace.
    label = "local (unsafe)"

    def __init__(self, *arguments: Any, limits: Limits | None = None, **options: Any) -> None:
        self.limits = limits or default()
        options.setdefault("execution_timeout", self.limits.timeout)
        super().__init__(*arguments, **options)
        self.last: account.CodeRun | None = None

    @with_callbacks
    def start(self) -> None:
        """Start it, its memory limited."""
        _stock_start(self)
        process = self._process
        if process is not None:
            most = self.limits.memory_mb * MEGABYTE
            with contextlib.suppress(OSError, ValueError):
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (most, most))

    @with_callbacks
    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        """Run a piece of code."""
        run = self.last = account.CodeRun(code, "local", safe=False)
        recording.note(WARNING)
        began = time.monotonic()
        try:
            result = _stock_execute(self, code, variables)
            if isinstance(result, str):
                run.stdout = result
            return result
        except BaseException as error:
            run.error = first_line(error)
            run.status = _status_of(error, run.error)
            raise
        finally:
            run.duration_ms = (time.monotonic() - began) * 1000


def _status_of(error: BaseException, text: str) -> str:
    if "exceeded execution timeout" in text:
        return "timeout"
    if text.startswith("MemoryError"):
        return "memory"
    return "failed" if isinstance(error, (CodeExecutionError, SyntaxError)) else "crash"
