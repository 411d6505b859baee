"""The kernel's one event loop, on which its async cells run.

It does what `asyncio.Runner` does, which Python 3.10 does not have: the first
interrupt cancels the cell's task, so that its `finally` blocks run; a second one
does not wait for them.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any


class KernelLoop:
    """An event loop made with the first async cell and kept for the kernel's life."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._interrupted = False

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run one cell's coroutine to its end."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        loop = self._loop
        # The task takes a copy of the current context, so a cell's settings stay its own.
        task = loop.create_task(coroutine)
        with self._cancelled_by_interrupt(loop, task):
            try:
                return loop.run_until_complete(task)
            except asyncio.CancelledError:
                if self._interrupted:
                    raise KeyboardInterrupt from None
                raise

    @contextmanager
    def _cancelled_by_interrupt(
        self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]
    ) -> Generator[None]:
        self._interrupted = False

        def cancel(*_: Any) -> None:
            if self._interrupted or task.done():
                raise KeyboardInterrupt
            self._interrupted = True
            task.cancel()
            # A loop that waits for a socket looks up only when woken.
            loop.call_soon_threadsafe(lambda: None)

        before = signal.getsignal(signal.SIGINT)
        ours = (
            threading.current_thread() is threading.main_thread()
            and before is signal.default_int_handler
        )
        if ours:
            signal.signal(signal.SIGINT, cancel)
        try:
            yield
        finally:
            if ours and signal.getsignal(signal.SIGINT) is cancel:
                signal.signal(signal.SIGINT, before)
