"""Which run and cell the current code belongs to.

Inside a DSPy call the run is read from the active call id (DSPy carries that
one into its pools); outside it comes from a context variable, and in plain
threads from what `threading.Thread.start` noted.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any

_RUN: ContextVar[int | None] = ContextVar("dspex_run", default=None)
_CELL_OF_RUN: dict[int, int] = {}
_active_id: Callable[[], str | None] = lambda: None  # noqa: E731


def use_active_id(getter: Callable[[], str | None]) -> None:
    """Say how DSPy's active call id is read (set once DSPy is imported)."""
    global _active_id
    _active_id = getter


@contextlib.contextmanager
def of(run: int | None, cell: int | None = None) -> Generator[None]:
    """Code in this block belongs to `run` (and `cell`)."""
    if run is not None and cell is not None:
        _CELL_OF_RUN[run] = cell
        while len(_CELL_OF_RUN) > 10_000:
            _CELL_OF_RUN.pop(next(iter(_CELL_OF_RUN)))
    token = _RUN.set(run)
    try:
        yield
    finally:
        _RUN.reset(token)


def run() -> int | None:
    """The current run."""
    active = _active_id()
    if active is not None:
        found = run_of(active)
        if found is not None:
            return found
    current = _RUN.get()
    if current is not None:
        return current
    return getattr(threading.current_thread(), "_dspex_run", None)


def active() -> str | None:
    """The span that is running."""
    return _active_id()


def run_of(span: str) -> int | None:
    """The run a span id names."""
    parts = span.split("-", 2)
    if len(parts) == 3 and parts[1].isdigit():
        number = int(parts[1])
        return number or None
    return None


def cell_of(number: int | None) -> int | None:
    """The cell a run executes."""
    return None if number is None else _CELL_OF_RUN.get(number)


def cell() -> int | None:
    """The current cell."""
    return cell_of(run())


def follow_threads() -> None:
    """Make plain threads belong to the run that started them."""
    original = threading.Thread.start
    if getattr(original, "_dspex", False):
        return

    def start(self: threading.Thread, *args: Any, **kwargs: Any) -> None:
        self._dspex_run = run()  # type: ignore[attr-defined]
        original(self, *args, **kwargs)

    start._dspex = True  # type: ignore[attr-defined]
    threading.Thread.start = start  # type: ignore[method-assign]
