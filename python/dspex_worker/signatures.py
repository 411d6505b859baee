"""Signatures as data and back, with DSPy's own verdict.

Types are written as Python writes annotations. Names are checked before DSPy
looks them up, so that reading a text never imports a module that was not asked for.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import re
import sys
import typing
import warnings
from collections.abc import Generator
from typing import Any

from .errors import Refusal, first_line
from .kernel import shell
from .protocol import FieldDef, SignatureDef

_NOT_IMPORTED = {"this", "antigravity", "__main__", "idlelib", "turtledemo", "test", "lib2to3"}
_PREFIX = re.compile(r"\b(?:typing|__main__)\.(?=\w)")
_BUILTIN_TYPES = {
    "int",
    "str",
    "float",
    "bool",
    "list",
    "tuple",
    "dict",
    "set",
    "frozenset",
    "complex",
    "bytes",
    "bytearray",
}


def parse(signature: Any, instructions: str | None = None) -> Any:
    """A DSPy signature class of a text, of field lists, or of a name of the notebook."""
    import dspy

    if isinstance(signature, type) and issubclass(signature, dspy.Signature):
        return _instructed(signature, instructions)
    if isinstance(signature, dict):
        return _from_lists(signature, instructions)
    if not isinstance(signature, str):
        raise Refusal("invalid_signature", "a signature is a text such as `question -> answer`")
    known = shell.namespace().get(signature.strip())
    if isinstance(known, type) and issubclass(known, dspy.Signature):
        return _instructed(known, instructions)
    from dspy.signatures import signature as dspy_signatures

    with _verdict(), _quiet():
        _check_names(signature)
        fields = dspy_signatures._parse_signature(signature, _names())
        make: Any = dspy.Signature
        return make(fields, instructions or None)


def describe(signature: Any) -> SignatureDef:
    """A signature class as data."""
    return {
        "inputs": [_field(name, info) for name, info in signature.input_fields.items()],
        "outputs": [_field(name, info) for name, info in signature.output_fields.items()],
        "instructions": signature.instructions,
    }


def arrow(signature: Any) -> str:
    """One line: `question -> answer: int`."""

    def side(fields: Any) -> str:
        parts: list[str] = []
        for name, info in fields.items():
            kind = type_name(info.annotation)
            parts.append(name if kind == "str" else f"{name}: {kind}")
        return ", ".join(parts)

    return f"{side(signature.input_fields)} -> {side(signature.output_fields)}"


def type_name(annotation: Any) -> str:
    """A type as it is written in a signature: `list[str]`, `Literal['a', 'b']`, `Optional[str]`.

    Names of `typing` stand without the module, which DSPy finds either way.
    """
    if isinstance(annotation, type) and not typing.get_args(annotation):
        if annotation.__module__ in ("builtins", "typing", "__main__"):
            return annotation.__qualname__
        return f"{annotation.__module__}.{annotation.__qualname__}"
    return _PREFIX.sub("", repr(annotation))


def parse_type(text: str) -> Any:
    """The type a text names."""
    from dspy.signatures import signature as dspy_signatures

    text = (text or "str").strip()
    with _verdict(), _quiet():
        tree = ast.parse(text, mode="eval").body
        _check_annotation(tree)
        return dspy_signatures._parse_type_node(tree, _names())


def lenient(text: str) -> dict[str, Any]:
    """Reads a half-typed signature (R41): text without an arrow is inputs."""
    try:
        found: dict[str, Any] = dict(describe(parse(text)))
        complete = bool(found["outputs"])
        note = "" if complete else "a predictor needs at least one output field"
        return {**found, "complete": complete, "note": note}
    except Refusal as refusal:
        left, arrow_found, right = text.partition("->")
        inputs, outputs = _loose_fields(left), _loose_fields(right)
        note = refusal.message
        if not arrow_found:
            note = "no `->` yet: these are inputs; a predictor needs outputs"
        return {
            "inputs": inputs,
            "outputs": outputs,
            "instructions": "",
            "complete": False,
            "note": note,
        }


def check_inputs(signature: Any, inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """All that is wrong with the inputs, at once (R19)."""
    problems: list[dict[str, Any]] = []
    for name, info in signature.input_fields.items():
        expected = type_name(info.annotation)
        if name not in inputs:
            if info.is_required():
                problems.append(_problem(name, "missing", expected, None))
        elif not fits(info.annotation, inputs[name]):
            problems.append(_problem(name, "wrong_type", expected, type(inputs[name]).__name__))
    problems.extend(
        _problem(name, "unknown", None, type(value).__name__)
        for name, value in inputs.items()
        if name not in signature.input_fields
    )
    return problems


def fits(annotation: Any, value: Any) -> bool:
    """Whether a JSON value fits a type; types that are not known fit (R43)."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return any(value == arg and type(value) is type(arg) for arg in args)
    if origin is typing.Union or type(annotation).__name__ == "UnionType":
        return any(fits(arg, value) for arg in args)
    base = origin or annotation
    if base is bool:
        return isinstance(value, bool)
    if base is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if base is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if base is str:
        return isinstance(value, str)
    if base is type(None):
        return value is None
    if base in (list, set, frozenset) or base is tuple:
        if not isinstance(value, (list, tuple, set, frozenset)):
            return False
        return base is tuple or not args or all(fits(args[0], item) for item in value)
    if base is dict:
        if not isinstance(value, dict):
            return False
        return len(args) != 2 or all(fits(args[1], item) for item in value.values())
    return True


def _problem(field: str, problem: str, expected: str | None, got: str | None) -> dict[str, Any]:
    return {"field": field, "problem": problem, "expected": expected, "got": got}


def _field(name: str, info: Any) -> FieldDef:
    extra = info.json_schema_extra or {}
    desc = str(extra.get("desc") or "")
    return {
        "name": name,
        "type": type_name(info.annotation),
        "desc": "" if desc == f"${{{name}}}" else desc,
    }


def _from_lists(data: dict[str, Any], instructions: str | None) -> Any:
    import dspy

    fields: dict[str, Any] = {}
    for side, make in (("inputs", dspy.InputField), ("outputs", dspy.OutputField)):
        for item in data.get(side) or []:
            entry = {"name": item} if isinstance(item, str) else item
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not name.isidentifier():
                raise Refusal("invalid_signature", f"`{name}` cannot be the name of a field")
            if name in fields:
                raise Refusal("invalid_signature", f"the field `{name}` is there twice")
            desc = entry.get("desc")
            kind = parse_type(str(entry.get("type") or "str"))
            fields[name] = (kind, make(desc=desc) if desc else make())
    with _verdict(), _quiet():
        make: Any = dspy.Signature
        return make(fields, instructions or data.get("instructions") or None)


def _instructed(signature: Any, instructions: str | None) -> Any:
    return signature.with_instructions(instructions) if instructions else signature


def _names() -> dict[str, Any]:
    names: dict[str, Any] = dict(typing.__dict__)
    names["NoneType"] = type(None)
    for name, value in shell.namespace().items():
        if isinstance(value, type) and not name.startswith("_"):
            names.setdefault(name, value)
    return names


def _check_names(signature: str) -> None:
    for side in signature.split("->"):
        try:
            tree = ast.parse(f"def f({side}): pass")
        except (SyntaxError, ValueError):
            continue  # DSPy says it better
        for node in ast.walk(tree):
            if isinstance(node, ast.arg) and node.annotation is not None:
                _check_annotation(node.annotation)


def _check_annotation(tree: ast.AST) -> None:
    """Refuse names DSPy would have to import something for that was not asked for."""
    dotted = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    known = _names()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name) or node.id in known or node.id in _BUILTIN_TYPES:
            continue
        if node.id in _NOT_IMPORTED or (node.id not in sys.modules and not _may_import(node.id)):
            raise ValueError(f"Unknown name: {node.id}")
        if id(node) not in dotted:
            raise ValueError(f"Unknown name: {node.id}")


def _may_import(name: str) -> bool:
    return name in sys.stdlib_module_names and importlib.util.find_spec(name) is not None


def _loose_fields(text: str) -> list[FieldDef]:
    parts: list[str] = []
    depth, start = 0, 0
    for index, char in enumerate(text):
        depth += char in "[({"
        depth -= char in "])}"
        if char == "," and depth <= 0:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    out: list[FieldDef] = []
    for part in parts:
        name, _, kind = part.partition(":")
        word = re.sub(r"\W", "", name.strip())
        if word.isidentifier():
            out.append({"name": word, "type": kind.strip() or "str", "desc": ""})
    return out


@contextlib.contextmanager
def _verdict() -> Generator[None]:
    """DSPy's refusal as ours, with its own first line."""
    try:
        yield
    except Refusal:
        raise
    except Exception as error:
        raise Refusal(
            "invalid_signature",
            first_line(error),
            exception=type(error).__name__,
            hint="write fields as `name: type`, inputs before `->`, outputs after it",
        ) from error


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
