"""Modules of the user's, in Python files: registered by name, read again when they change."""

from __future__ import annotations

import inspect
from typing import Any

import dspy

from . import files, registered, serialize
from .errors import Refusal, unknown


def define(arguments: dict[str, Any]) -> dict[str, Any]:
    """The definition of a `register_module` request (R35)."""
    from . import library

    name = str(arguments.get("name") or "")
    if not name.isidentifier():
        raise Refusal("invalid_name", f"`{name}` is no name of a module", hint="use letters and _")
    if name in library.entries():
        raise Refusal("name_taken", f"`{name}` is one of DSPy's modules", hint="use another name")
    path = files.absolute(arguments.get("file"))
    found = _class(path, arguments.get("class"))
    return {
        "name": name,
        "file": path,
        "class": found.__name__,
        "doc": (inspect.getdoc(found) or "").split("\n\n")[0].replace("\n", " ")[:300],
        "options": {
            key: serialize.short(None if p.default is p.empty else p.default)
            for key, p in _parameters(found).items()
            if key != "signature"
        },
        "signature": "signature" in _parameters(found),
        "inputs": _inputs(found),
    }


def find(name: str) -> type | None:
    """The class of a registered name, as its file has it now."""
    definition = registered.find("modules", name)
    return None if definition is None else _class(definition["file"], definition["class"])


def version(name: str) -> Any:
    """What changes when the file of a registered name does; `None` for other names."""
    definition = registered.find("modules", name)
    return None if definition is None else files.stamp(definition["file"])


def listing() -> list[dict[str, Any]]:
    """The registered modules as rows of the table of modules."""
    rows: list[dict[str, Any]] = []
    for name in registered.names("modules"):
        definition = registered.find("modules", name) or {}
        status, reason = "ok", ""
        try:
            find(name)
        except Refusal as refusal:
            status, reason = "unavailable", refusal.message
        options = {key: {"default": value} for key, value in definition["options"].items()}
        about = f"{definition['doc'] or 'Yours.'} ({definition['file']}:{definition['class']})"
        rows.append(
            {
                "name": name,
                "status": status,
                "reason": reason,
                "signature": definition["signature"],
                "doc": about,
                "options": options,
            }
        )
    return rows


def _class(path: str, name: Any) -> type:
    module = files.load(path)
    own = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, dspy.Module)
        and value.__module__ == module.__name__
    }
    if name:
        if name not in own:
            raise unknown("module class", str(name), own)
        return own[str(name)]
    if not own:
        raise Refusal("no_module", f"`{path}` has no class derived from `dspy.Module`")
    if len(own) > 1:
        listed = ", ".join(f"`{key}`" for key in own)
        raise Refusal("which_class", f"`{path}` has several modules", hint=f"`class` is {listed}?")
    return next(iter(own.values()))


def _inputs(cls: type) -> list[dict[str, str]]:
    """Names and types of what `forward` is given."""
    forward = getattr(cls, "forward", None)
    if forward is None:
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(forward).parameters.values()
    return [{"name": p.name, "type": _type(p)} for p in found if p.kind in named][1:]


def _type(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if annotation is not parameter.empty:
        return getattr(annotation, "__name__", None) or str(annotation)
    plain = parameter.default is parameter.empty or parameter.default is None
    return "str" if plain else type(parameter.default).__name__


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    # DSPy's metaclass hides the class's own parameters.
    init: Any = cls.__init__
    found = inspect.signature(init).parameters
    skipped = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        key: p
        for key, p in found.items()
        if key not in ("self", "callbacks") and p.kind not in skipped
    }
