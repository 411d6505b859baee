"""Spans: DSPy's `with_callbacks` replaced by a cheaper one that tells the workbench.

User callbacks keep working and see the same ids. It owns ids, kinds and small
values; whole messages are recorded by the workbench as exchanges.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
import time
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import _dspex

from . import direct, recording, scope, serialize
from .errors import one_line
from .sandbox.account import CodeRun

_counter = itertools.count(1)
_MARK = "_dspex_wrapped"


class Call(NamedTuple):
    """What the transport must know of the LM call that is running."""

    parent: str | None
    model: str
    cache: bool
    rollout_id: int | None
    began: float


_lm_calls: dict[str, Call] = {}
_passed: set[str] = set()
_lm_counts: dict[int, int] = {}


def lm_call(span: str | None) -> Call | None:
    """The LM call of a span, while it runs."""
    return None if span is None else _lm_calls.get(span)


def ended(span: str) -> Call | None:
    """Forget an LM call; answers it when none of its requests went through a door."""
    call = _lm_calls.pop(span, None)
    if span in _passed:
        _passed.discard(span)
        return None
    return call


def passed(span: str) -> None:
    """A request of this LM call went through a door."""
    _passed.add(span)


def lm_count(run: int | None) -> int:
    """How many LM calls a run has begun."""
    return _lm_counts.get(run or 0, 0)


def install() -> str:
    """Replace the wrappers; answers `wrappers`, or `callback` for another DSPy."""
    try:
        from dspy.utils import callback, callback_context

        codes = _stock_codes(callback)
        active = callback_context.ACTIVE_CALL_ID
        stock = callback.with_callbacks
        get_start, get_end = callback._get_on_start_handler, callback._get_on_end_handler
    except (ImportError, AttributeError):
        return _fall_back()
    scope.use_active_id(active.get)
    wrap = _make_wrapper(active, get_start, get_end)
    if _walk(wrap, stock, codes) == 0:
        return _fall_back()
    return "wrappers"


def _stock_codes(callback: Any) -> set[types.CodeType]:
    def sync(self: Any) -> None: ...

    async def asynchronous(self: Any) -> None: ...

    return {callback.with_callbacks(fn).__code__ for fn in (sync, asynchronous)}


def _make_wrapper(active: Any, get_start: Any, get_end: Any) -> Callable[[Any], Any]:
    import dspy

    settings = dspy.settings
    describe = _describer()
    worker = _dspex.worker
    span_start, span_end, is_cancelled = _dspex.span_start, _dspex.span_end, _dspex.is_cancelled

    def begin(fn: Any, instance: Any, args: Any, kwargs: Any) -> tuple[Any, ...]:
        parent = active.get()
        run = scope.run()
        # What a cancelled run has opened is still to be closed.
        if run is not None and is_cancelled(run) and fn.__name__ != "shutdown":
            raise _dspex.RunCancelled("the run was cancelled")
        span = f"{worker}-{run or 0}-{next(_counter)}"
        kind, name = describe(instance, fn)
        inputs = None
        if kind in ("module", "tool"):
            inputs = serialize.dumps_flat(_small_inputs(args, kwargs))
        elif kind == "interpreter":
            if fn.__name__ == "execute":
                recording.code_began(span, args, kwargs)
                if args:
                    inputs = serialize.dumps_flat({"code": serialize.short(args[0], 4000)})
        elif kind == "lm":
            own = getattr(instance, "kwargs", None) or {}
            rollout = kwargs.get("rollout_id", own.get("rollout_id"))
            cache = bool(kwargs.get("cache", getattr(instance, "cache", True)))
            _lm_counts[run or 0] = _lm_counts.get(run or 0, 0) + 1
            _lm_calls[span] = Call(
                parent,
                name,
                cache,
                rollout if isinstance(rollout, int) else None,
                time.perf_counter(),
            )
        span_start(span, parent, run, kind, name, inputs)
        users = settings.get("callbacks", []) + getattr(instance, "callbacks", [])
        if users:
            try:
                _tell_start(users, get_start, fn, instance, span, args, kwargs)
            except BaseException as error:
                ended(span)
                span_end(span, None, one_line(error))
                raise
        return span, kind, users, parent, (args, kwargs) if kind == "lm" else None

    def finish(
        fn: Any, instance: Any, begun: tuple[Any, ...], result: Any, error: BaseException | None
    ) -> None:
        span, kind, users, parent, asked = begun
        active.set(parent)
        if kind == "lm":
            call = ended(span)
            if call is not None and error is None:
                direct.tell(span, call, instance, asked, result)
        outputs = None
        if error is None and kind in ("module", "tool", "evaluate"):
            outputs = serialize.dumps_flat(_small_outputs(result))
        elif kind == "interpreter" and fn.__name__ == "execute":
            facts = _code_facts(instance)
            recording.code_ended(span, result, error, facts)
            short = {key: serialize.short(value, 4000) for key, value in facts.items()}
            outputs = serialize.dumps_flat(short)
        span_end(span, outputs, None if error is None else one_line(error))
        for callback in users:
            try:
                get_end(callback, instance, fn)(call_id=span, outputs=result, exception=error)
            except Exception as wrong:
                _warn(callback, wrong)

    def wrap(fn: Any) -> Any:
        if inspect.iscoroutinefunction(fn):

            @functools.wraps(fn)
            async def async_wrapper(instance: Any, *args: Any, **kwargs: Any) -> Any:
                begun = begin(fn, instance, args, kwargs)
                active.set(begun[0])
                result, error = None, None
                try:
                    result = await fn(instance, *args, **kwargs)
                    return result
                except BaseException as raised:
                    error = raised
                    raise
                finally:
                    finish(fn, instance, begun, result, error)

            setattr(async_wrapper, _MARK, True)
            return async_wrapper

        @functools.wraps(fn)
        def wrapper(instance: Any, *args: Any, **kwargs: Any) -> Any:
            begun = begin(fn, instance, args, kwargs)
            active.set(begun[0])
            result, error = None, None
            try:
                result = fn(instance, *args, **kwargs)
                return result
            except BaseException as raised:
                error = raised
                raise
            finally:
                finish(fn, instance, begun, result, error)

        setattr(wrapper, _MARK, True)
        return wrapper

    return wrap


def _tell_start(
    users: list[Any], get_start: Any, fn: Any, instance: Any, span: str, args: Any, kwargs: Any
) -> None:
    bound = inspect.signature(fn, follow_wrapped=False).bind(instance, *args, **kwargs)
    bound.apply_defaults()
    inputs = dict(bound.arguments)
    inputs.pop("self", None) if "self" in inputs else inputs.pop("instance", None)
    for callback in users:
        try:
            get_start(callback, instance, fn)(call_id=span, instance=instance, inputs=inputs)
        except Exception as wrong:
            _warn(callback, wrong)


def _warn(callback: Any, wrong: Exception) -> None:
    import logging

    name = type(callback).__name__
    logging.getLogger("dspy").warning("callback %s raised %s", name, one_line(wrong))


def _describer() -> Callable[[Any, Any], tuple[str, str]]:
    import dspy
    from dspy.teleprompt.teleprompt import Teleprompter

    # A kind, and the attribute that holds the name where the class does not say it.
    kinds: dict[tuple[type, str], tuple[str, str]] = {}

    def kind_of(cls: type, method: str) -> tuple[str, str]:
        if issubclass(cls, dspy.BaseLM):
            return "lm", "model"
        if issubclass(cls, dspy.Evaluate):
            return "evaluate", ""
        if issubclass(cls, Teleprompter):
            return "compile", ""
        if issubclass(cls, dspy.Adapter):
            return ("adapter_parse" if method == "parse" else "adapter_format"), ""
        if issubclass(cls, dspy.Tool):
            return "tool", "name"
        if issubclass(cls, dspy.Module):
            ours = cls.__module__.startswith(f"{__package__}.")
            return "module", "shown_as" if ours else ""
        # `dspy.CodeInterpreter` is a protocol that refuses `issubclass`: go by what it asks for.
        if hasattr(cls, "execute") and hasattr(cls, "shutdown"):
            return "interpreter", ""
        return "module", ""

    def describe(instance: Any, fn: Any) -> tuple[str, str]:
        cls = type(instance)
        key = (cls, fn.__name__)
        known = kinds.get(key)
        if known is None:
            known = kinds[key] = kind_of(cls, fn.__name__)
        kind, attribute = known
        if attribute:
            return kind, str(getattr(instance, attribute, None) or cls.__name__)
        if kind == "interpreter":
            return kind, f"{getattr(cls, 'label', cls.__name__)} {fn.__name__}"
        return kind, cls.__name__

    return describe


def _small_inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    small = {str(i): serialize.short(value) for i, value in enumerate(args)}
    small.update((key, serialize.short(value)) for key, value in kwargs.items())
    return small


def _small_outputs(result: Any) -> dict[str, Any]:
    fields = serialize.fields_of(result)
    if fields is None:
        score = getattr(result, "score", None)
        return {"result": serialize.short(score if score is not None else result)}
    return {key: serialize.short(value) for key, value in fields.items() if key != "results"}


def _code_facts(interpreter: Any) -> dict[str, Any]:
    """What a piece of code did, also where it failed; nothing of interpreters not ours."""
    last: Any = getattr(interpreter, "last", None)
    told: dict[str, Any] = last.plain() if isinstance(last, CodeRun) else {}
    told.pop("code", None)
    return told


def _walk(wrap: Any, stock: Any, codes: set[types.CodeType]) -> int:
    """Wrap what is stock in every loaded `dspy` module; answers how many methods were.

    Modules that are imported later need no second walk: the name they import is ours by then.
    """
    found = 0
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] != "dspy":
            continue
        space = getattr(module, "__dict__", {})
        for name, value in list(space.items()):
            if value is stock and not module_name.endswith("utils.callback"):
                setattr(module, name, wrap)
            elif isinstance(value, type) and value.__module__ == module_name:
                found += _walk_class(value, wrap, codes)
    callback = sys.modules.get("dspy.utils.callback")
    if callback is not None:
        callback.with_callbacks = wrap  # type: ignore[attr-defined]
    return found


def _walk_class(cls: type, wrap: Any, codes: set[types.CodeType]) -> int:
    found = 0
    for name, value in list(vars(cls).items()):
        if not isinstance(value, types.FunctionType):
            continue
        if value.__code__ in codes:
            setattr(cls, name, wrap(vars(value)["__wrapped__"]))
            found += 1
        elif name == "compile":
            found += _walk_compile(value, wrap, codes)
    return found


def _walk_compile(fn: types.FunctionType, wrap: Any, codes: set[types.CodeType]) -> int:
    """Optimizers' `compile` holds the stock wrapper in a closure."""
    for free, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False):
        if free != "callback_fn":
            continue
        inner = cell.cell_contents
        if isinstance(inner, types.FunctionType) and inner.__code__ in codes:
            cell.cell_contents = wrap(vars(inner)["__wrapped__"])
            return 1
    return 0


def _fall_back() -> str:
    """Another DSPy: a registered callback sees the same calls, a little dearer."""
    try:
        import dspy
        from dspy.utils.callback import BaseCallback
    except ImportError:
        return "none"
    try:
        from dspy.utils import callback_context

        active = callback_context.ACTIVE_CALL_ID.get
    except (ImportError, AttributeError):
        active = lambda: None  # noqa: E731

    names: dict[str, str] = {}

    def start(kind: str) -> Any:
        def on_start(self: Any, call_id: str, instance: Any, inputs: Any) -> None:
            run = scope.run()
            if run is not None and _dspex.is_cancelled(run):
                raise _dspex.RunCancelled("the run was cancelled")
            parent = active()
            name = str(getattr(instance, "model", None) or type(instance).__name__)
            ours = f"{_dspex.worker}-{run or 0}-{next(_counter)}"
            names[call_id] = ours
            _dspex.span_start(ours, names.get(parent or ""), run, kind, name, None)

        return on_start

    def end(self: Any, call_id: str, outputs: Any, exception: Any = None) -> None:
        ours = names.pop(call_id, None)
        if ours is not None:
            _dspex.span_end(ours, None, None if exception is None else one_line(exception))

    hooks: dict[str, Any] = {}
    for kind in ("module", "lm", "adapter_format", "adapter_parse", "tool", "evaluate", "compile"):
        hooks[f"on_{kind}_start"] = start(kind)
        hooks[f"on_{kind}_end"] = end
    watcher = type("Watcher", (BaseCallback,), hooks)()
    dspy.configure(callbacks=[watcher])
    return "callback"
