"""DSPy's modules by name: how one is made of JSON (R11-R13, R25-R36)."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable
from typing import Any

import dspy

from . import composed, library, lms, registered, retrieval, tools, user_modules
from .errors import Refusal, one_line, unknown
from .kernel import shell
from .sandbox import choice, fallback

_COMPOSED: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "BestOfN": lambda signature, options: composed.rewarded("BestOfN", signature, options, make),
    "Refine": lambda signature, options: composed.rewarded("Refine", signature, options, make),
    "MultiChainComparison": lambda signature, options: composed.Compared(
        signature, _inner(signature, options), options["M"], float(options["temperature"])
    ),
    "majority": lambda signature, options: composed.Voted(
        signature, _inner(signature, options), options["n"], options["field"]
    ),
    "Parallel": lambda signature, options: composed.Spread(
        _inner(signature, options), options["num_threads"], options["max_errors"]
    ),
    "BM25": lambda _, options: retrieval.Lexical(options),
    "KNN": lambda _, options: retrieval.Nearest(options),
    "Embeddings": lambda _, options: retrieval.Passages("Embeddings", options),
    "EmbeddingsWithScores": lambda _, options: retrieval.Passages("EmbeddingsWithScores", options),
    "Retrieve": lambda _, options: retrieval.Searched(options),
    "SemanticF1": lambda _, options: composed.Judged("SemanticF1", options),
    "CompleteAndGrounded": lambda _, options: composed.Judged("CompleteAndGrounded", options),
}


def find(name: str) -> type | None:
    """The class of a user's module, `None` for one of DSPy's; refused with near matches
    where there is neither (R11, R12)."""
    plain = short_name(name)
    if plain in library.entries():
        library.require(plain)
        return None
    value = user_modules.find(plain) or shell.namespace().get(plain, getattr(dspy, plain, None))
    if isinstance(value, type) and issubclass(value, dspy.Module):
        return value
    raise unknown("module", name, names())


def short_name(name: str) -> str:
    """`dspy.` may stand before a module's name."""
    return name.strip().removeprefix("dspy.")


def names() -> list[str]:
    """DSPy's modules and those of the notebook."""
    own = [
        key
        for key, value in shell.namespace().items()
        if isinstance(value, type) and issubclass(value, dspy.Module)
    ]
    return [*library.usable(), *registered.names("modules"), *own]


def make(name: str, signature: Any, options: dict[str, Any]) -> Any:
    """A module object."""
    cls = find(name)
    plain = short_name(name)
    if cls is not None:
        return _users(cls, signature, options)
    if library.entries()[plain]["signature"]:
        _need_signature(plain, signature)
    elif signature is not None:
        raise Refusal("invalid_signature", f"{plain} takes no signature", hint="leave it out")
    if plain in _COMPOSED:
        return _COMPOSED[plain](signature, library.with_defaults(plain, options))
    given = library.check(plain, options)
    if any(option["name"] == "tools" for option in library.entries()[plain]["options"]):
        given["tools"] = tools.all_of(given.get("tools") or [])
        if plain == "CodeAct":
            tools.refuse_guarded(plain, given["tools"])
    if "sub_lm" in given:
        given["sub_lm"] = _lm(given["sub_lm"])
    cls = getattr(dspy, plain)
    if any(option["name"] == "interpreter" for option in library.entries()[plain]["options"]):
        factory = given["interpreter_factory"] = choice.take(given, shell.namespace())
        choice.warm_up(factory)
        if given.pop("fallback", True):
            cls = fallback.CLASSES.get(plain, cls)
    return construct(cls, [signature], given)


def construct(cls: type, positional: list[Any], options: dict[str, Any]) -> Any:
    """An object of a module's class; what its constructor refuses is refused by name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return cls(*positional, **options)
    except (TypeError, ValueError) as error:
        raise Refusal("invalid_option", f"{cls.__name__}: {str(error).splitlines()[0]}") from error


def clean_up(module: Any) -> None:
    """Let a user's module give back what it holds (R34); DSPy's own hold nothing."""
    cleanup = getattr(module, "cleanup", None)
    if callable(cleanup) and not type(module).__module__.startswith("dspy."):
        try:
            cleanup()
        except Exception as error:
            name = type(module).__name__
            logging.getLogger("dspy").warning("%s.cleanup raised %s", name, one_line(error))


def _inner(signature: Any, options: dict[str, Any]) -> Any:
    return make(options["module"], signature, options["module_options"])


def _users(cls: type, signature: Any, options: dict[str, Any]) -> Any:
    options = dict(options)
    if "tools" in options:
        options["tools"] = tools.all_of(options["tools"])
    positional = [signature] if signature is not None and _takes_arguments(cls) else []
    return construct(cls, positional, options)


def _need_signature(name: str, signature: Any) -> None:
    if signature is None:
        raise Refusal(
            "missing_signature", f"{name} needs a signature, such as `question -> answer`"
        )
    if not signature.output_fields:
        raise Refusal(
            "invalid_signature",
            f"{name} needs an output field",
            hint="write what is asked for after `->`, as in `question -> answer`",
        )


def _lm(lm: Any) -> Any:
    if isinstance(lm, dict):
        return lms.make(lm)
    if isinstance(lm, str):
        return lms.make({"profile": lm, "model": lm, "params": {}})
    return lm


def _takes_arguments(cls: type) -> bool:
    try:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    except (TypeError, ValueError):
        return False
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
