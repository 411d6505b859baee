"""The three lanes: main (cells), side (completion and the like), run (programs).

It owns threads and the way from a request to its answer; what a request does is
in `operations`.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import _dspex

from . import errors, link, scope, serialize, shipping
from .operations import registry

# Threads a lane may have: one always waits, so that a request that hangs delays no other.
_MOST = {"side": 8, "run": 64}
_lock = threading.Lock()
_threads = dict.fromkeys(_MOST, 0)
_idle = dict.fromkeys(_MOST, 0)


def serve() -> None:
    """Serve all lanes until the workbench ends us; the main lane on this thread."""
    for lane in _MOST:
        _more_threads(lane)
    while True:
        try:
            job = _dspex.wait("main")
        except KeyboardInterrupt:  # a late signal, when no cell runs
            continue
        if job is None:
            break
        carry_out(job)
    programs = sys.modules.get(f"{__package__}.programs")
    if programs is not None:
        programs.close_all()


def _loop(lane: str) -> None:
    while True:
        job = _dspex.wait(lane)
        if job is None:
            return
        with _lock:
            _idle[lane] -= 1
        _more_threads(lane)
        try:
            carry_out(job)
        finally:
            with _lock:
                _idle[lane] += 1


def _more_threads(lane: str) -> None:
    """Keep one thread waiting, as long as there may be more."""
    with _lock:
        if _idle[lane] > 0 or _threads[lane] >= _MOST[lane]:
            return
        _threads[lane] += 1
        _idle[lane] += 1
        name = f"dspex-{lane}-{_threads[lane]}"
    threading.Thread(target=_loop, args=(lane,), name=name, daemon=True).start()


def carry_out(job: tuple[int, str, bytes, int | None, int | None]) -> None:
    """Do one request and answer it, whatever happens."""
    number, operation, payload, run, cell = job
    try:
        request: dict[str, Any] = serialize.loads(payload)
        with scope.of(run, cell), shipping.around(request):
            result = registry.call(operation, request)
        link.answer(number, result)
    except BaseException as error:
        try:
            link.refuse(number, errors.describe(error, operation))
        except BaseException as worse:
            link.refuse(number, errors.describe(RuntimeError(type(worse).__name__), operation))
