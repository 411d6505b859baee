"""Running the rows: some at once, kept in order, errors by row, no faster than allowed."""

from __future__ import annotations

import collections
import contextvars
import queue
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import _dspex

from .. import errors, link, running, serialize
from ..errors import Refusal
from .ledger import Ledger
from .rows import Row

_TELL_S = 0.25
_LOOK_S = 0.2
# Advances the rate is taken from.
_LATELY = 40
_SHOWN_ERRORS = 5


class Plan(NamedTuple):
    """How a batch is run."""

    program: Any
    signature: Any
    keep: list[str]
    threads: int
    per_minute: float
    max_errors: int | None
    run: int | None
    total: int


class Work:
    """One pass over the rows that are not done yet."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self._plan = plan
        self._ledger = ledger
        self._ready: queue.SimpleQueue[tuple[Row, Future[Any]]] = queue.SimpleQueue()
        self._running = 0
        self._next_start = 0.0
        self._told = 0.0
        # When how many were done, of late: what stood still long ago slows nothing down.
        self._lately = collections.deque([(time.monotonic(), ledger.done)], maxlen=_LATELY)
        self._stop: BaseException | None = None
        self._failed_now = 0
        self.first_errors: list[dict[str, Any]] = []

    def all(self, rows: Iterator[Row]) -> None:
        """Run them; raises what stopped it, after what was under way is kept."""
        # Rows done ahead of a slow one wait in memory: so many, and no more.
        window = max(256, self._plan.threads * 8)
        left = (row for row in rows if not self._ledger.has(row.number))
        waiting = next(left, None)
        self._tell(force=True)
        with ThreadPoolExecutor(self._plan.threads, thread_name_prefix="dspex-row") as pool:
            while True:
                while (
                    waiting is not None
                    and self._stop is None
                    and self._running < self._plan.threads
                    and waiting.number - self._ledger.next < window
                    and self._may_start()
                ):
                    self._start(pool, waiting)
                    waiting = next(left, None)
                if self._running == 0 and (waiting is None or self._stop is not None):
                    break
                self._collect()
        self._tell(force=True)
        if self._stop is not None:
            raise self._stop

    def _may_start(self) -> bool:
        if self._plan.per_minute <= 0:
            return True
        now = time.monotonic()
        if now < self._next_start:
            return False
        self._next_start = max(self._next_start, now - _LOOK_S) + 60.0 / self._plan.per_minute
        return True

    def _start(self, pool: ThreadPoolExecutor, row: Row) -> None:
        self._running += 1
        future = pool.submit(contextvars.copy_context().run, self._one, row)
        future.add_done_callback(lambda done: self._ready.put((row, done)))

    def _collect(self) -> None:
        """Wait for a row that is done, not longer than until the next may start."""
        wait = _LOOK_S
        if self._plan.per_minute > 0:
            wait = min(wait, max(0.001, self._next_start - time.monotonic()))
        try:
            row, future = self._ready.get(timeout=wait)
        except queue.Empty:
            run = self._plan.run
            if self._stop is None and run is not None and _dspex.is_cancelled(run):
                self._stop = _dspex.RunCancelled("the run was cancelled")
            self._tell()
            return
        self._running -= 1
        raised = future.exception()
        if raised is None:
            self._ledger.put(row.number, True, {**self._kept(row), "output": future.result()})
        elif not isinstance(raised, Exception) or errors.is_hopeless(raised):
            # Every other row would fail in the same way: this one stays to be done.
            self._stop = self._stop or raised
        else:
            self._fail(row, raised)
        self._tell()

    def _fail(self, row: Row, raised: Exception) -> None:
        described = errors.describe(raised, "run_batch")
        error = {"type": described["type"], "message": described["message"]}
        self._ledger.put(row.number, False, {**self._kept(row), "error": error})
        self._failed_now += 1
        if len(self.first_errors) < _SHOWN_ERRORS:
            self.first_errors.append({"row": row.number, **error})
        most = self._plan.max_errors
        if most is not None and self._failed_now > most and self._stop is None:
            self._stop = Refusal(
                "too_many_errors",
                f"more than {most} rows failed; the last: {error['message']}",
                klass="python_runtime",
                hint="mend the cause and start the same batch again: it goes on where it was",
                errors=self.first_errors,
            )

    def _kept(self, row: Row) -> dict[str, Any]:
        return {"kept": {k: row.fields.get(k) for k in self._plan.keep}} if self._plan.keep else {}

    def _one(self, row: Row) -> dict[str, Any]:
        import dspy

        if row.problem is not None:
            raise Refusal("invalid_row", row.problem)
        inputs = inputs_of(self._plan, row.fields)
        if self._plan.signature is not None:
            running.require(self._plan.signature, inputs)
        given = {str(key): serialize.restore(value) for key, value in inputs.items()}
        with dspy.context(trace=[]):
            prediction = self._plan.program(**given)
        if prediction is None:
            raise Refusal("no_prediction", "no attempt gave an answer", klass="lm")
        result = prediction if isinstance(prediction, dict) else serialize.result(prediction)
        return dict(serialize.plain(dict(result)))

    def _tell(self, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._told < _TELL_S:
            return
        self._told = now
        done = self._ledger.done
        if done != self._lately[-1][1]:
            self._lately.append((now, done))
        since, before = self._lately[0]
        speed = (done - before) / (now - since) if now > since else 0.0
        left = (self._plan.total - done) / speed if speed > 0 else None
        link.progress(
            self._plan.run,
            "rows",
            done=done,
            failed=self._ledger.failed,
            total=self._plan.total,
            per_second=round(speed, 2),
            left_s=None if left is None else round(left, 1),
        )


def inputs_of(plan: Plan, fields: dict[str, Any]) -> dict[str, Any]:
    """What of a row the program is called with."""
    if plan.signature is None:
        return {name: value for name, value in fields.items() if name not in plan.keep}
    return {name: fields[name] for name in plan.signature.input_fields if name in fields}
