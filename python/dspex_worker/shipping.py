"""What leaves the kernel with a job, and how a pool's worker sees it.

Names of the notebook that a request mentions, and settings that cells changed, are pickled
by value and sent to the worker that does the job; there they stand in for the notebook.
Nothing of it is written to disk.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import pickle
import re
import types
from collections.abc import Generator, Iterator
from typing import Any

import _dspex

from . import serialize
from .errors import one_line
from .kernel import shell

# Settings that belong to one call, or are in place in every worker.
_OWN = {
    "branch_idx",
    "caller_modules",
    "caller_predict",
    "send_stream",
    "stream_listeners",
    "trace",
    "usage_tracker",
}
# Members of definitions that are data or prose, and never name a thing of the notebook.
_DATA = {"name", "desc", "instructions", "state", "rows", "parent", "optimizer", "unportable"}
# Values that no request means by their names.
_PLAIN = (str, bytes, int, float, type(None), types.ModuleType)
_WORD = re.compile(r"[A-Za-z_]\w*")
_counter = itertools.count(1)
_at_start: dict[str, Any] = {}


def remember_settings() -> None:
    """Note the settings every worker starts with."""
    import dspy

    _at_start.update(dspy.settings.config)


def pack(arguments: Any, has_lm: bool) -> dict[str, Any]:
    """What a request with these arguments needs of this kernel.

    Answers `{}`, `{"pickle": …}`, or `{"stays": …}` with the reason why it cannot be shipped.
    """
    names = mentioned(arguments)
    settings = _changed(has_lm)
    if not names and not settings:
        return {}
    try:
        data = _dumps({"names": names, "settings": settings})
    except Exception as error:
        return {"stays": _culprit(names, settings, error)}
    return {"pickle": base64.b64encode(data).decode()}


@contextlib.contextmanager
def around(request: dict[str, Any]) -> Generator[None]:
    """The circumstances of a request: what was shipped with it, and the span it is part of."""
    with contextlib.ExitStack() as stack:
        if request.get("shipped"):
            stack.enter_context(_unpacked(str(request["shipped"])))
        if request.get("parent"):
            stack.enter_context(_inside(str(request["parent"])))
        if request.get("stays"):
            stack.enter_context(_staying(str(request["stays"]), request.get("run")))
        yield


@contextlib.contextmanager
def _unpacked(text: str) -> Generator[None]:
    import dspy

    # Written by this session's kernel, handed over by the workbench.
    data = pickle.loads(base64.b64decode(text))
    with shell.shipped(data["names"]), dspy.context(**data["settings"]):
        yield


@contextlib.contextmanager
def _inside(span: str) -> Generator[None]:
    """Spans of this block are part of `span`."""
    try:
        from dspy.utils.callback_context import ACTIVE_CALL_ID
    except ImportError:  # another DSPy: its spans have no common root
        yield
        return
    active: Any = ACTIVE_CALL_ID
    token = active.set(span)
    try:
        yield
    finally:
        active.reset(token)


@contextlib.contextmanager
def _staying(reason: str, run: int | None) -> Generator[None]:
    """A span that says why this job runs in the kernel."""
    span = f"{_dspex.worker}-{run or 0}-j{next(_counter)}"
    inputs = serialize.dumps_flat({"reason": reason})
    _dspex.span_start(span, None, run, "job", "in the kernel", inputs)
    error: str | None = None
    try:
        with _inside(span):
            yield
    except BaseException as raised:
        error = one_line(raised)
        raise
    finally:
        _dspex.span_end(span, None, error)


def mentioned(arguments: Any) -> dict[str, Any]:
    """The names of the notebook that a request means, with their values.

    A text that is a name means what has that name; in a longer one, such as a signature,
    only classes are meant.
    """
    space = shell.namespace()
    found: dict[str, Any] = {}
    for text in _strings(arguments):
        words = _WORD.findall(text)
        alone = text.strip().removeprefix("dspy.")
        for word in words:
            if word.startswith("_") or word not in space:
                continue
            value = space[word]
            if isinstance(value, type) if word != alone else not isinstance(value, _PLAIN):
                found[word] = value
    return found


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if value.get("unportable"):
            yield str(value.get("name"))
        for key, item in value.items():
            if key not in _DATA:
                yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _changed(has_lm: bool) -> dict[str, Any]:
    import dspy

    left_out = _OWN | ({"lm"} if has_lm else set())
    now = dict(dspy.settings.config)
    return {
        key: value
        for key, value in now.items()
        if key not in left_out and (key not in _at_start or not _same(_at_start[key], value))
    }


def _same(before: Any, now: Any) -> bool:
    return before is now or (isinstance(now, (bool, int, str, list)) and before == now)


def _dumps(value: Any) -> bytes:
    import cloudpickle

    return cloudpickle.dumps(value)


def _culprit(names: dict[str, Any], settings: dict[str, Any], error: Exception) -> str:
    """Which of them cannot be pickled, and why."""
    for name, value in names.items():
        try:
            _dumps(value)
        except Exception as its:
            return f"`{name}` cannot be pickled: {one_line(its)}"
    for key, value in settings.items():
        try:
            _dumps(value)
        except Exception as its:
            return f"the setting `{key}` cannot be pickled: {one_line(its)}"
    return f"what it needs of the notebook cannot be pickled: {one_line(error)}"
