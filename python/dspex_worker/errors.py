"""Exceptions as the product's one error object (R97-R101).

It decides type, class, recovery and hint; it does not decide who is told.
"""

from __future__ import annotations

import difflib
import os
import re
import traceback as tracebacks
from collections.abc import Iterable
from typing import Any

Error = dict[str, Any]
_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_DSPY = f"{os.sep}dspy{os.sep}"

_LM = {
    "LMAuthError": ("fatal", "check the key of this LM profile (:lm)"),
    "LMBillingError": ("fatal", "the provider refuses for billing; check the account's credit"),
    "LMNotConfiguredError": ("fatal", "set the key variable the message names, or use `:lm demo`"),
    "LMConfigurationError": ("fatal", "change the parameters of this LM profile (:lm)"),
    "LMUnsupportedModelError": ("fatal", "check the model's name in the LM profile (:lm)"),
    "LMUnsupportedFeatureError": ("fatal", "this LM cannot do that; use another LM or adapter"),
    "LMInvalidRequestError": ("fatal", "the provider refuses the request; check model and options"),
    "ContextWindowExceededError": ("fatal", "shorten the inputs or demos, or use a larger model"),
    "LMRateLimitError": ("retry", "wait a little, or lower the profile's concurrency"),
    "LMServerError": ("retry", "the server failed; try again"),
    "LMTimeoutError": ("retry", "the server was too slow; try again or raise the time-out"),
    "LMTransportError": ("retry", "the server could not be reached; check address and network"),
    "LMStreamAssemblyError": ("retry", "the answer's stream broke off; try again"),
    "LMLockTimeoutError": ("retry", "another process holds DSPy's lock; try again"),
    "LMCollectionLimitError": ("fatal", "the answer is longer than DSPy collects; ask for less"),
    "LMUnexpectedError": (
        "fatal",
        "this LM's engine failed in a way DSPy does not know: see above",
    ),
    "LMProviderError": ("fatal", "the server's answer is not one DSPy can read: see it in F4, Raw"),
    "LMError": ("fatal", "check the LM profile (:lm); the exchange is in the trace (F4)"),
    "CodeExecutionError": ("retry", "the generated code failed; try again"),
    "CodeInterpreterError": ("fatal", "this module runs code in deno: see `dspex-tui doctor`"),
    "AdapterParseError": ("retry", "the answer did not have the fields asked for; try again"),
}


_HOPELESS = (
    "LMAuthError",
    "LMBillingError",
    "LMNotConfiguredError",
    "LMConfigurationError",
    "LMUnsupportedModelError",
)

# What to do where the error itself says nothing better.
_REMEDY = {
    "lm": "check the LM profile (:lm); the exchange is in the trace (F4)",
    "optimization": "the program is as it was; change the metric, the data or the options",
    "serialization": "give or return simpler values: text, numbers, lists, objects",
    "timeout": "try again; `:restart` replaces a kernel that hangs",
    "import": "`dspex-tui doctor` says what is missing",
    "python_runtime": "the traceback says which line failed; mend it, or change the inputs",
    "invalid_input": "change what the message names; `:help` says what is accepted",
}


def is_hopeless(error: BaseException) -> bool:
    """Whether each further call would fail in the same way."""
    return any(base.__name__ in _HOPELESS for base in type(error).__mro__)


class Refusal(Exception):
    """A request that cannot be carried out as it stands, with what to do about it."""

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        hint: str = "",
        near: Iterable[str] = (),
        klass: str = "invalid_input",
        strategy: str = "fatal",
        **context: Any,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.near = list(near)
        self.klass = klass
        self.strategy = strategy
        self.context = context


def near_matches(name: str, names: Iterable[str]) -> list[str]:
    """At most three names close to `name`, best first."""
    by_lower = {known.lower(): known for known in names}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.5)
    return [by_lower[match] for match in found]


def unknown(what: str, name: str, names: Iterable[str]) -> Refusal:
    """The refusal for a name that is not known, with near matches."""
    known = list(names)
    near = near_matches(name, known)
    listed = ", ".join(f"`{n}`" for n in (near or known[:8]))
    hint = f"did you mean {listed}?" if near else f"known: {listed}" if listed else ""
    text = f"there is no {what} called `{name}`"
    return Refusal(f"unknown_{what.replace(' ', '_')}", text, hint=hint, near=near)


def lm_not_configured() -> Refusal:
    """The guard for a module that is run before an LM is configured (R9)."""
    return Refusal(
        "lm_not_configured",
        "LM not configured",
        klass="lm",
        hint="type `:lm demo`, or configure a profile with `:lm` (F2)",
    )


def describe(error: BaseException, operation: str = "", *, cell: bool = False) -> Error:
    """The error object of an exception; in a cell its type keeps Python's name."""
    name = type(error).__name__
    if isinstance(error, Refusal):
        return _object(
            error.kind,
            error.klass,
            error.message,
            [],
            dict(error.context, operation=operation),
            error.strategy,
            error.hint or ("" if error.near else _REMEDY.get(error.klass, "")),
            error.near,
        )
    kind, klass, strategy, hint = _classify(error, name, operation, cell)
    if not hint and not cell:
        hint = _REMEDY.get(klass, "")
    context: dict[str, Any] = {"operation": operation} if operation else {}
    if kind != name:
        context["exception"] = name
    for field in ("model", "provider", "status", "request_id", "retry_after", "adapter_name"):
        value = getattr(error, field, None)
        if isinstance(value, (str, int, float)):
            context[field] = value
    return _object(kind, klass, first_line(error), lines(error), context, strategy, hint, [])


def _classify(error: BaseException, name: str, operation: str, cell: bool) -> tuple[str, ...]:
    names = [base.__name__ for base in type(error).__mro__]
    if "RunCancelled" in names or isinstance(error, KeyboardInterrupt):
        return name, "interrupted", "fatal", ""
    lm = next((base for base in names if base in _LM), None)
    if lm is not None:
        strategy, hint = _LM["LMTimeoutError" if _was_too_slow(error) else lm]
        return name, "lm", strategy, hint
    if isinstance(error, ValueError) and "No LM is loaded" in str(error):
        return "lm_not_configured", "lm", "fatal", lm_not_configured().hint
    if cell:
        klass = "import" if isinstance(error, ImportError) else "python_runtime"
        return name, klass, "fatal", import_hint(error) or _gone_hint(error)
    if isinstance(error, ModuleNotFoundError):
        return "module_not_found", "import", "fatal", import_hint(error)
    if isinstance(error, ImportError):
        return name, "import", "fatal", ""
    if isinstance(error, TimeoutError):
        return "python_timeout", "timeout", "restart_process", ""
    if isinstance(error, (UnicodeError, RecursionError)) or "PydanticSerializationError" in names:
        return name, "serialization", "fatal", ""
    if isinstance(error, ValueError):
        return "invalid_input", "invalid_input", "fatal", ""
    if operation in ("optimize_prompt", "bootstrap_examples"):
        return name, "optimization", "fallback", ""
    return name, "python_runtime", "fatal", ""


def _was_too_slow(error: BaseException) -> bool:
    """Whether a transport's time-out is behind an error that DSPy calls by another name."""
    if type(error).__name__ != "LMTransportError":
        return False
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None or "Timeout" in type(cause).__name__:
            break
        cause = cause.__cause__ or cause.__context__
    return cause is not None and "Timeout" in type(cause).__name__


def import_hint(error: BaseException) -> str:
    """The line that installs the module an error says is missing; empty where it names none."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install it with `%pip install {error.name.split('.')[0]}`"
    return ""


def _gone_hint(error: BaseException) -> str:
    """What stands in the table of modules about a name that DSPy has no more."""
    from . import library

    found = re.fullmatch(r"module 'dspy[.\w]*' has no attribute '(\w+)'", first_line(error))
    return library.entries().get(found[1], {}).get("reason", "") if found else ""


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type's name."""
    try:
        text = str(error).strip()
    except Exception:
        text = ""
    if isinstance(error, KeyboardInterrupt):
        return "stopped by the user"
    if isinstance(error, SyntaxError) and error.msg:
        text = error.msg if error.lineno is None else f"{error.msg} (line {error.lineno})"
    if isinstance(error, KeyError) and error.args:
        text = f"no key {error.args[0]!r}"
    line = text.splitlines()[0].strip() if text else type(error).__name__
    return re.sub(r"\x1b\[[0-9;]*m", "", line)[:1000]


def one_line(error: BaseException) -> str:
    """`Type: first line`, for spans and rows."""
    return f"{type(error).__name__}: {first_line(error)}"[:500]


def lines(error: BaseException) -> list[str]:
    """A plain traceback, one entry a line, without our own frames and most of DSPy's."""
    try:
        told = tracebacks.TracebackException(type(error), error, error.__traceback__, compact=True)
        part: tracebacks.TracebackException | None = told
        while part is not None:
            part.stack = _interesting(part.stack)
            part = part.__cause__ or part.__context__
        text = "".join(told.format())
    except Exception:
        return [type(error).__name__]
    return text.rstrip().splitlines()[-100:]


def _interesting(stack: tracebacks.StackSummary) -> tracebacks.StackSummary:
    """The user's frames, with the first and the last of DSPy's."""
    frames = [frame for frame in stack if not frame.filename.startswith(_OURS)]
    inside = [frame for frame in frames if _DSPY in frame.filename]
    kept = {id(frame) for frame in (*inside[:1], *inside[-2:])}
    frames = [f for f in frames if _DSPY not in f.filename or id(f) in kept]
    return tracebacks.StackSummary.from_list(frames[-20:])


def _object(
    kind: str,
    klass: str,
    message: str,
    traceback: list[str],
    context: dict[str, Any],
    strategy: str,
    hint: str,
    near: list[str],
) -> Error:
    return {
        "type": kind,
        "class": klass,
        "message": message,
        "traceback": traceback,
        "context": {key: value for key, value in context.items() if value not in ("", None)},
        "recovery": {"strategy": strategy, "hint": hint, "near": near},
    }
