"""IPython's shell as the kernel: cells on the main thread, outputs as messages.

It is the *registered* singleton, because DSPy exempts IPython from its rule that
only one async task may configure it. Async cells run on one runner for the
kernel's life.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any

from .. import errors, serialize
from . import input as user_input
from . import preview, streams, tracebacks
from .loop import KernelLoop

_shell: Any = None
_shipped: ContextVar[dict[str, Any] | None] = ContextVar("dspex_shipped", default=None)
# IPython shortens what stands before it to `~` where it can.
_OURS = f"{os.sep}{__name__.partition('.')[0]}{os.sep}"
PREDICTION = "application/vnd.dspex.prediction+json"


def prepare() -> None:
    """Put streams, input and the shell in place, before any lane can ask for them."""
    global _shell
    streams.install()
    user_input.install()
    with contextlib.suppress(ImportError):
        _shell = _make()


def get() -> Any:
    """The shell; refused where its environment has no IPython."""
    if _shell is None:
        raise errors.Refusal(
            "module_not_found",
            "cells need IPython, which this Python environment does not have",
            hint=f"install it there: `{sys.executable} -m pip install ipython`",
            klass="import",
        )
    return _shell


def namespace() -> dict[str, Any]:
    """The names of the notebook, or those shipped with a job; empty where there is no shell."""
    shipped = _shipped.get()
    if shipped is not None:
        return shipped
    return {} if _shell is None else _shell.user_ns


@contextlib.contextmanager
def shipped(names: dict[str, Any]) -> Generator[None]:
    """In this block the notebook is what came with a job."""
    token = _shipped.set(names)
    try:
        yield
    finally:
        _shipped.reset(token)


def _make() -> Any:
    folder = os.environ.get("IPYTHONDIR") or tempfile.mkdtemp(prefix="dspex-ipython-")
    os.environ["IPYTHONDIR"] = folder
    with contextlib.suppress(OSError):  # IPython says so itself, and uses another
        os.makedirs(folder, exist_ok=True)
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets import Type
    from traitlets.config import Config

    class Publisher(DisplayPublisher):
        def publish(
            self,
            data: Any,
            metadata: Any = None,
            source: Any = None,
            *,
            transient: Any = None,
            update: bool = False,
            **_: Any,
        ) -> None:
            streams.flush()
            output: dict[str, Any] = {"output": "display", "data": _bundle(data)}
            display_id = (transient or {}).get("display_id")
            if display_id:
                output["display_id"] = str(display_id)
            if update:
                output["update"] = True
            streams.emit(output)

        def clear_output(self, wait: bool = False) -> None:
            streams.flush()
            streams.emit({"output": "clear", "wait": bool(wait)})

    class Hook(DisplayHook):
        def write_output_prompt(self) -> None:
            pass

        def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
            streams.flush()
            data = _bundle(format_dict)
            last = getattr(self, "_dspex_value", None)
            fields = serialize.fields_of(last)
            if fields is not None and type(last).__name__ == "Prediction":
                data[PREDICTION] = serialize.plain(fields)
            streams.emit({"output": "result", "data": data})

        def compute_format_data(self, result: Any) -> Any:
            self._dspex_value = result
            return super().compute_format_data(result)

        def finish_displayhook(self) -> None:
            self._dspex_value = None
            self._is_active = False

    class Shell(InteractiveShell):
        displayhook_class = Type(Hook)
        display_pub_class = Type(Publisher)
        last_traceback: list[str]

        def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
            self.last_traceback = stb

        def showtraceback(self, *args: Any, **kwargs: Any) -> None:
            # Nobody reads the frames of a cell they stopped, and drawing them takes long.
            kind = sys.exc_info()[0]
            if kind is not None and issubclass(kind, (KeyboardInterrupt, asyncio.CancelledError)):
                self.last_traceback = [kind.__name__]
                return
            super().showtraceback(*args, **kwargs)

        def _format_exception_for_storage(
            self, exception: BaseException, *_: Any, **__: Any
        ) -> Any:
            # IPython would draw the frames once more, for a history that is not kept.
            name = type(exception).__name__
            frames = list(self.last_traceback or [name])
            return {"ename": name, "evalue": errors.first_line(exception), "traceback": frames}

        def enable_gui(self, gui: Any = None) -> None:
            pass

        def init_virtualenv(self) -> None:
            pass

        def ask_exit(self) -> None:
            streams.emit(
                {
                    "output": "stream",
                    "stderr": True,
                    "text": "exit does not end the kernel; use :quit or :restart\n",
                }
            )

    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "linux"
    config.InteractiveShell.autoindent = False
    config.InteractiveShell.cache_size = 200
    config.IPCompleter.use_jedi = False
    shell: Any = Shell.instance(config=config)
    shell.loop_runner = KernelLoop().run
    tracebacks.shorten(shell.InteractiveTB)
    # Cells are about DSPy: it is there without an import, and not listed as a name.
    dspy = importlib.import_module("dspy")
    shell.user_ns["dspy"] = dspy
    shell.user_ns_hidden["dspy"] = dspy
    preview.install(shell)
    with contextlib.suppress(Exception):
        shell.display_formatter.active_types = list(shell.display_formatter.format_types)
    return shell


def _bundle(data: Any) -> dict[str, Any]:
    """A MIME bundle as JSON; images as base64 text."""
    out: dict[str, Any] = {}
    for mime, value in dict(data or {}).items():
        if isinstance(value, bytes):
            out[str(mime)] = base64.b64encode(value).decode()
        else:
            # Nobody reads more of a repr; images and prints keep their length.
            if str(mime) == "text/plain" and isinstance(value, str) and len(value) > preview.MOST:
                left = len(value) - preview.MOST
                value = f"{value[: preview.MOST]}… ({left} characters left out)"
            out[str(mime)] = serialize.plain(value)
    out.setdefault("text/plain", "")
    return out


def traceback_of(error: BaseException) -> list[str]:
    """The coloured traceback of the last cell, one line an entry, DSPy's own frames folded."""
    frames = list(getattr(_shell, "last_traceback", None) or [])
    if not frames:
        return errors.lines(error)
    inside = [index for index, frame in enumerate(frames) if f"{os.sep}dspy{os.sep}" in frame[:400]]
    hidden = set(inside[1:-1])
    out: list[str] = []
    folded = 0
    for index, frame in enumerate(frames):
        if _OURS in frame[:400]:
            continue
        if index in hidden:
            folded += 1
            continue
        if folded:
            out.append(f"    … {folded} more frames inside dspy")
            folded = 0
        out.extend(str(frame).splitlines())
    return out[-400:]
