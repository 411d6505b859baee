"""What is done about a failure without asking a person: try again, then do without (R100)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import _dspex

from . import errors, link

T = TypeVar("T")

# A step is tried this often at most, with these waits in between, in seconds.
TRIES = 3
WAITS = (0.5, 1.0)


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of a step that may be done without."""

    value: T | None
    attempts: int
    error: errors.Error | None = None

    @property
    def fallback(self) -> dict[str, Any] | None:
        """Why the plain way was taken; `None` where it was not."""
        if self.error is None:
            return None
        return {"reason": self.error["message"], "attempts": self.attempts, "error": self.error}


def attempt(
    step: Callable[[], T],
    operation: str,
    run: int | None,
    strategy_of: Callable[[Exception], str] | None = None,
) -> Outcome[T]:
    """Carry out a step: again where that may help, else say that it must be done without.

    Raises what no plainer way mends: refusals, keys and credit, and the user's stop.
    `strategy_of` decides where a step knows better than the table of errors.
    """
    number = 0
    while True:
        number += 1
        try:
            return Outcome(step(), number)
        except Exception as error:
            if isinstance(error, errors.Refusal) or errors.is_hopeless(error):
                raise
            told = errors.describe(error, operation)
            strategy = strategy_of(error) if strategy_of else told["recovery"]["strategy"]
            if strategy not in ("retry", "fallback"):
                raise
            line = f"{operation}: {errors.one_line(error)}"
            if strategy == "fallback" or number == TRIES:
                link.log("warning", f"{line}; done without after {number} of {TRIES}")
                return Outcome(None, number, told)
            wait = WAITS[min(number, len(WAITS)) - 1]
            link.log("warning", f"{line}; attempt {number + 1} of {TRIES} in {wait} s")
            _pause(wait, run)


def _pause(seconds: float, run: int | None) -> None:
    """Wait, but not for a run that was cancelled."""
    waited = threading.Event()
    for _ in range(max(1, round(seconds / 0.1))):
        if run is not None and _dspex.is_cancelled(run):
            raise _dspex.RunCancelled("the run was cancelled")
        waited.wait(0.1)
