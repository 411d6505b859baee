"""`input()` and `getpass()` of cells, answered by the workbench's user.

Where nobody can answer they raise `EOFError`, so that pdb and loops end.
"""

from __future__ import annotations

import builtins
import getpass
import io
import sys

import _dspex

from .. import scope
from . import streams

_NOBODY = "input() needs somebody to answer: run this cell in the workbench, not headless"


def _read(prompt: str, password: bool) -> str:
    streams.flush()
    cell = scope.cell()
    if not _dspex.interactive or cell is None:
        raise EOFError(_NOBODY)
    text = _dspex.read_input(cell, prompt, password)
    if text is None:
        raise EOFError("end of input")
    shown = "" if password else text
    streams.emit({"output": "input", "prompt": prompt, "text": shown})
    return text


def _input(prompt: object = "", /) -> str:
    """Ask the user for a line."""
    return _read(str(prompt), False)


def _getpass(prompt: str = "Password: ", stream: object = None) -> str:
    """Ask the user for a line that is not shown."""
    return _read(prompt, True)


class _Stdin(io.TextIOBase):
    """`sys.stdin`, as pdb and `sys.stdin.readline()` use it."""

    encoding = "utf-8"  # type: ignore[assignment]

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        """A line from the user; empty is end of file."""
        try:
            return _read("", False) + "\n"
        except EOFError:
            return ""

    def read(self, size: int | None = -1, /) -> str:
        """A line from the user."""
        return self.readline()

    def readable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Never a terminal."""
        return False

    def fileno(self) -> int:
        """Descriptor 0 belongs to nobody."""
        raise io.UnsupportedOperation("fileno")


def install() -> None:
    """Replace Python's own before user code imports them."""
    builtins.input = _input
    getpass.getpass = _getpass
    sys.stdin = _Stdin()
