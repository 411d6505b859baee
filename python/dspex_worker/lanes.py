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

_MOST_RUN_THREADS = 64
_lock = threading.Lock()
_run_threads = 0
_idle_run_threads = 0


def serve() -> None:
    """Serve all lanes until the workbench ends us; the main lane on this thread."""
    threading.Thread(target=_loop, args=("side",), name="dspex-side", daemon=True).start()
    _more_run_threads()
    _loop("main")
    programs = sys.modules.get(f"{__package__}.programs")
    if programs is not None:
        programs.close_all()


def _loop(lane: str) -> None:
    while True:
        try:
            job = _dspex.wait(lane)
        except KeyboardInterrupt:  # a late signal, when no cell runs
            continue
        if job is None:
            return
        carry_out(job)


def _run_loop() -> None:
    global _idle_run_threads
    while True:
        job = _dspex.wait("run")
        if job is None:
            return
        with _lock:
            _idle_run_threads -= 1
        _more_run_threads()
        try:
            carry_out(job)
        finally:
            with _lock:
                _idle_run_threads += 1


def _more_run_threads() -> None:
    """Keep one thread waiting, as long as there may be more."""
    global _run_threads, _idle_run_threads
    with _lock:
        if _idle_run_threads > 0 or _run_threads >= _MOST_RUN_THREADS:
            return
        _run_threads += 1
        _idle_run_threads += 1
        name = f"dspex-run-{_run_threads}"
    threading.Thread(target=_run_loop, name=name, daemon=True).start()


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
