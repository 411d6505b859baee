"""`sys.stdout` and `sys.stderr` of cells: each write is credited to its cell.

What no cell wrote goes to the process's own descriptors, which the workbench
reads as log lines. Text is gathered up to a newline, a flush or 4 KiB.
"""

from __future__ import annotations

import io
import sys
import threading
from typing import Any, TextIO

from .. import link, scope

_ENOUGH = 4096


def emit(output: dict[str, Any], run: int | None = None) -> bool:
    """Send an output of the current cell; false where there is none."""
    run = scope.run() if run is None else run
    cell = scope.cell_of(run)
    if cell is None:
        return False
    link.send("cell_output", {"cell": cell, "run": run, "output": output})
    return True


class CellStream(io.TextIOBase):
    """A text stream that sends what is written to the cell that wrote it."""

    encoding = "utf-8"  # type: ignore[assignment]
    errors = "replace"  # type: ignore[assignment]

    def __init__(self, original: TextIO, stderr: bool) -> None:
        super().__init__()
        self._original = original
        self._stderr = stderr
        self._lock = threading.RLock()
        self._pending: dict[int, str] = {}

    @property
    def buffer(self) -> Any:
        """The bytes below: written past the cell, as log lines."""
        return self._original.buffer

    @property
    def name(self) -> str:
        """The name Python gives the stream."""
        return "<stderr>" if self._stderr else "<stdout>"

    def write(self, text: Any) -> int:
        """Write for the current cell; what is no text is refused, as by Python's own."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if not text:
            return 0
        run = scope.run()
        if run is None or scope.cell_of(run) is None:
            self._original.write(text)
            self._original.flush()
            return len(text)
        with self._lock:
            pending = self._pending.get(run, "") + text
            if pending.endswith("\n") or len(pending) >= _ENOUGH:
                self._pending.pop(run, None)
                self._send(pending, run)
            else:
                self._pending[run] = pending
        return len(text)

    def flush(self) -> None:
        """Send what is gathered."""
        with self._lock:
            pending, self._pending = self._pending, {}
            for run, text in pending.items():
                self._send(text, run)

    def _send(self, text: str, run: int) -> None:
        output: dict[str, Any] = {"output": "stream", "text": text}
        if self._stderr:
            output["stderr"] = True
        emit(output, run)

    def fileno(self) -> int:
        """The process's own descriptor."""
        return 2 if self._stderr else 1

    def isatty(self) -> bool:
        """Never a terminal."""
        return False

    def writable(self) -> bool:
        """Always."""
        return True


_installed: dict[str, CellStream] = {}


def install() -> None:
    """Put both streams in place."""
    if not isinstance(sys.stdout, CellStream):
        sys.stdout = CellStream(sys.__stdout__ or sys.stdout, stderr=False)
        sys.stderr = CellStream(sys.__stderr__ or sys.stderr, stderr=True)
        _installed.update(stdout=sys.stdout, stderr=sys.stderr)


def mend() -> None:
    """Put a stream back where a cell left nothing that can be written to."""
    for name, stream in _installed.items():
        if not callable(getattr(getattr(sys, name, None), "write", None)):
            setattr(sys, name, stream)


def flush() -> None:
    """Send what both streams gathered."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, CellStream):
            stream.flush()
