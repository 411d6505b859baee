"""One event loop beside the lanes: asynchronous tools and MCP connections live there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any

import _dspex

from . import scope

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_TICK = 0.1


def loop() -> asyncio.AbstractEventLoop:
    """The loop; its thread is started when it is first wanted."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="dspex-async", daemon=True).start()
        return _loop


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, from any thread but the loop's; a cancelled run leaves it."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop())
    number = scope.run()
    try:
        while True:
            try:
                return future.result(_TICK)
            except concurrent.futures.TimeoutError:
                if future.done():
                    raise
                if number is not None and _dspex.is_cancelled(number):
                    raise _dspex.RunCancelled("the run was cancelled") from None
    finally:
        future.cancel()
