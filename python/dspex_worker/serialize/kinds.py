"""The table of kinds: for each class that JSON cannot say, how it is packed and unpacked.

A kind is found by the names in a class's line of ancestors, so that no package is
imported for it and no code of the value runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

# The most characters or bytes of one text, byte string or array that are carried.
MAX_BYTES = 16 * 1024 * 1024
# The most items of one list or mapping that need a walk.
MAX_ITEMS = 200_000


class Tagged(dict[str, Any]):
    """What a kind packs to; it is never packed again."""


class Encode(Protocol):
    """Encodes a value inside another one."""

    def __call__(self, value: Any, depth: int, /) -> Any: ...


@dataclass(frozen=True)
class Kind:
    """How values of one class, and of its subclasses, are said in JSON."""

    tag: str
    # Members of the tagged object; anything else stands for the value as it is.
    pack: Callable[[Any, Encode, int], Any]
    # An equal value of the restored members; raises where there is none.
    unpack: Callable[[dict[str, Any]], Any] | None = None


_by_name: dict[str, Kind] = {}
_by_tag: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Enter a kind under `module:qualified name` of its class."""
    _by_name[name] = kind
    if kind.unpack is not None:
        _by_tag[kind.tag] = kind


def find(cls: type) -> Kind | None:
    """The kind of a class: its own, or that of the nearest ancestor."""
    for base in cls.__mro__:
        kind = _by_name.get(f"{base.__module__}:{base.__qualname__}")
        if kind is not None:
            return kind
    return None


def tagged(tag: Any) -> Kind | None:
    """The kind that unpacks a tag."""
    return _by_tag.get(tag) if isinstance(tag, str) else None


def path_of(cls: type) -> str:
    """`module:qualified name`."""
    try:
        return f"{cls.__module__}:{cls.__qualname__}"
    except Exception:  # a metaclass may say no
        return "builtins:object"


def class_at(path: Any) -> type:
    """The class of a path, in a module that is loaded: reading a value imports nothing."""
    module, _, names = str(path).partition(":")
    found: Any = sys.modules[module]
    for name in names.split("."):
        found = vars(found)[name]
    if not isinstance(found, type):
        raise TypeError(f"{path} is no class")
    return found
