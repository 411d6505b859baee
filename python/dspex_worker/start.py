"""From an initialised Python to a worker that says `ready`."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
import warnings
import weakref
from typing import Any

from . import link

_PACKAGES = (
    "dspy",
    "ipython",
    "pydantic",
    "litellm",
    "numpy",
    "pandas",
    "optuna",
    "gepa",
    "orjson",
)


def run() -> None:
    """Import and hook DSPy, say `ready`, serve."""
    _prepare_environment()
    import dspy

    from . import (
        httpx_door,
        lms,
        pricing,
        scope,
        shipping,
        shortcuts,
        trace,
        transport,
        type_adapters,
    )

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    dspy.configure(max_history_size=100, max_trace_size=1000)
    tracing = trace.install()
    # After tracing: its methods are wrapped as they are defined.
    from .sandbox import interpreter

    interpreter.install()
    door = transport.install()
    pricing.install()
    type_adapters.install()
    shortcuts.install()
    _stop_resubmitting()
    _let_bars_be_forgotten()
    lms.register_demo()
    httpx_door.install()
    scope.follow_threads()
    from .kernel import shell

    shell.prepare()
    shipping.remember_settings()
    link.send("ready", _ready(dspy, tracing, door))
    from . import lanes

    lanes.serve()


def _prepare_environment() -> None:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    warnings.filterwarnings("ignore", message="To exit: use 'exit'")


def _stop_resubmitting() -> None:
    """Without this DSPy sends a parallel run's last items again after 120 s, and pays twice."""
    try:
        from dspy.utils.parallelizer import ParallelExecutor
    except ImportError:
        return
    original = ParallelExecutor.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.timeout = 0

    ParallelExecutor.__init__ = init  # type: ignore[method-assign]


def _let_bars_be_forgotten() -> None:
    """DSPy empties tqdm's set of bars whenever an evaluation begins; one that is just
    being made by another thread must not fail because it is no longer in it."""
    try:
        from tqdm import std
    except ImportError:
        return

    class Bars(weakref.WeakSet):  # type: ignore[type-arg]
        remove = weakref.WeakSet.discard

    std.tqdm._instances = Bars()  # type: ignore[attr-defined]


def _ready(dspy: Any, tracing: str, door: str) -> dict[str, Any]:
    return {
        "dspy": str(getattr(dspy, "__version__", "unknown")),
        "tracing": tracing,
        "door": door,
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "startup_ms": _since_process_start_ms(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _since_process_start_ms() -> float:
    """Milliseconds since this process was started; from Python's own start elsewhere."""
    try:
        with open("/proc/self/stat") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        with open("/proc/uptime") as file:
            uptime = float(file.read().split()[0])
        return round((uptime - ticks / os.sysconf("SC_CLK_TCK")) * 1000, 1)
    except (OSError, ValueError, IndexError):
        return round(time.process_time() * 1000, 1)


if sys.version_info < (3, 10):  # noqa: UP036  a clear word beats a syntax error later
    raise ImportError("dspex needs Python 3.10 or newer")
