"""What a module did on its way to a result: attempts and pieces of code, with the result.

It only keeps what the modules and the trace tell it; what is shown is the front ends'.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from . import serialize
from .errors import one_line

_MOST = 200


@dataclass
class Record:
    """The attempts and pieces of code of one request, in order."""

    attempts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    code: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    # What was decided on the way, such as to answer without execution.
    notes: list[str] = field(default_factory=list[str])
    # Whether code ran outside of a sandbox.
    unsafe: bool = False

    def add_to(self, result: dict[str, Any]) -> None:
        """Put what there is beside the fields of a result."""
        if self.attempts:
            result.setdefault("attempts", self.attempts)
        # A module that tells its steps itself needs no second list of its code.
        if self.code and "trajectory" not in result:
            result.setdefault("code_runs", self.code)
        if self.notes:
            result.setdefault("notes", self.notes)
        if self.unsafe:
            result.setdefault("unsafe", True)


_current: ContextVar[Record | None] = ContextVar("dspex_record", default=None)
_running: dict[str, str] = {}


@contextlib.contextmanager
def record() -> Generator[Record]:
    """Keep what is noted inside the block, in its threads too."""
    kept = Record()
    token = _current.set(kept)
    try:
        yield kept
    finally:
        _current.reset(token)


def attempt(prediction: Any, reward: float | None = None) -> None:
    """Note an attempt and, where there is one, its reward."""
    kept = _current.get()
    if kept is not None and len(kept.attempts) < _MOST:
        row = serialize.result(prediction)
        kept.attempts.append(row if reward is None else {**row, "reward": reward})


def code_began(span: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """An interpreter was given a piece of code."""
    variables = kwargs.get("variables") or (args[1] if len(args) > 1 else None) or ()
    # DSPy's own code, which lets code in there call modules out here, is not the LM's.
    if _current.get() is not None and not any(str(v).startswith("__dspy") for v in variables):
        _running[span] = str(args[0] if args else kwargs.get("code", ""))


def note(words: str) -> None:
    """Note a decision, once."""
    kept = _current.get()
    if kept is not None and words not in kept.notes and len(kept.notes) < _MOST:
        kept.notes.append(words)


def code_ended(span: str, result: Any, error: BaseException | None, facts: dict[str, Any]) -> None:
    """It is done with it; `facts` are what the interpreter itself tells."""
    code = _running.pop(span, None)
    kept = _current.get()
    if code is None or kept is None or len(kept.code) >= _MOST:
        return
    kept.unsafe = kept.unsafe or bool(facts.get("unsafe"))
    if error is None:
        output = getattr(result, "output", result)
        row: dict[str, Any] = {"code": code, "output": serialize.plain(output)}
    else:
        row = {"code": code, "error": one_line(error)}
    shown = ("interpreter", "status", "stderr", "duration_ms", "unsafe")
    kept.code.append(row | {key: facts[key] for key in shown if facts.get(key)})
