"""A sandbox that is started before it is needed.

One thread starts all of them, and lives as long as the worker: a sandbox ends
with the thread that started it. The spare goes after ten minutes without use.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable

from .child import Child

_KEPT_SECONDS = 600.0
_TICK = 0.1


class Spares:
    """At most one started sandbox, ready to be taken."""

    def __init__(self) -> None:
        self._starter = concurrent.futures.ThreadPoolExecutor(1, "dspex-sandbox")
        self._lock = threading.Lock()
        self._next: concurrent.futures.Future[Child] | None = None
        self._expiry: threading.Timer | None = None

    def prepare(self) -> None:
        """Begin to start one, unless there is one."""
        with self._lock:
            if self._next is None:
                self._next = self._starter.submit(Child)
                self._expire_later()

    def take(self, check: Callable[[], None]) -> tuple[Child, bool]:
        """A sandbox, and whether it was ready already; `check` is called while waiting."""
        while True:
            with self._lock:
                future, self._next = self._next, None
                if self._expiry is not None:
                    self._expiry.cancel()
            warm = future is not None and future.done()
            fresh = future is None
            future = future or self._starter.submit(Child)
            child = _result(future, check)
            if child.poll() is None:
                return child, warm
            child.kill()
            if fresh:
                raise RuntimeError(f"the sandbox ended at once ({child.ended_how()})")

    def start(self, more: dict[str, list[str]], check: Callable[[], None]) -> Child:
        """One with permissions of its own."""
        return _result(self._starter.submit(Child, more), check)

    def drop(self) -> None:
        """End the spare."""
        with self._lock:
            future, self._next = self._next, None
            if self._expiry is not None:
                self._expiry.cancel()
        if future is not None:
            future.add_done_callback(_end)

    def _expire_later(self) -> None:
        self._expiry = threading.Timer(_KEPT_SECONDS, self.drop)
        self._expiry.daemon = True
        self._expiry.start()


def _result(future: concurrent.futures.Future[Child], check: Callable[[], None]) -> Child:
    try:
        while True:
            try:
                return future.result(timeout=_TICK)
            except concurrent.futures.TimeoutError:
                if future.done():
                    raise
                check()
    except BaseException:
        future.add_done_callback(_end)
        raise


def _end(future: concurrent.futures.Future[Child]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().kill()


SPARES = Spares()
