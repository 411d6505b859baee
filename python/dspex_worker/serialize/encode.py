"""Values to JSON's own types: bounded in depth, items and size; nothing raises (R49, R51)."""

from __future__ import annotations

import base64
import math
import weakref
from typing import Any, cast

import _dspex

from . import builtin, models, science
from .kinds import MAX_BYTES, MAX_ITEMS, Kind, Tagged, find, path_of
from .text import clean, is_clean, safe_repr

# Levels of the JSON that is written; readers stop at 128.
MAX_DEPTH = 100
# Values of one message that are passed on unwalked.
MOST = 20_000_000
# Values that are walked at most; the rest is said to be left out.
_MOST_WALKED = 2_000_000
# Values that a walk looks ahead at in vain, for parts that need none of it.
_MOST_IN_VAIN = 4_000_000
# Characters of the text that stands for an object of no known kind.
_MAX_TEXT = 2000

_known: weakref.WeakKeyDictionary[type, Kind | None] = weakref.WeakKeyDictionary()

for _family in (builtin, models, science):
    _family.enter()


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """JSON's own types for any value. What is JSON already is not copied."""
    return _Walk().of(value, depth)


class _Walk:
    """One walk through a value."""

    def __init__(self) -> None:
        # Containers being walked: one met again inside itself is a cycle.
        self.open: set[int] = set()
        # What may still be walked, so that a value that refers to itself many times ends.
        self.left = _MOST_WALKED
        self.ahead = _MOST_IN_VAIN

    def of(self, value: Any, depth: int, /) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        self.left -= 1
        if kind is str:
            return _text(value)
        if kind is int:
            return _int(value)
        if kind is float:
            return _float(value)
        if depth <= 0 or self.left <= 0:
            return _marker("truncated", kind)
        if kind is Tagged:
            return value
        return self._compound(value, kind, depth)

    def _compound(self, value: Any, kind: type, depth: int) -> Any:
        if id(value) in self.open:
            return _marker("cycle", kind)
        self.open.add(id(value))
        try:
            if kind is list or kind is dict:
                if self._is_plain(value, depth):
                    return value
                return self._list(value, depth) if kind is list else self._dict(value, depth)
            return self._other(value, kind, depth)
        except Exception:
            return _unknown(value, kind)
        finally:
            self.open.discard(id(value))

    def _is_plain(self, value: Any, depth: int) -> bool:
        if self.ahead <= 0:
            return False
        count = _dspex.count_json(value, depth, self.left)
        self.left -= max(0, count)
        self.ahead += min(0, count)
        return count > 0

    def _list(self, items: list[Any], depth: int) -> list[Any]:
        out = [self.of(item, depth - 1) for item in items[:MAX_ITEMS]]
        if len(items) > MAX_ITEMS:
            out.append(Tagged(_type="truncated", left_out=len(items) - MAX_ITEMS))
        return out

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if len(value) <= MAX_ITEMS and "_type" not in value:
            for key in value:
                if type(key) is not str or not is_clean(key):
                    break
            else:
                return {key: self.of(item, depth - 1) for key, item in value.items()}
        return builtin.pairs(value, self.of, depth)

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        found = _known.get(kind)
        if found is None and kind not in _known:
            found = _known[kind] = models.kind_of(kind) or find(kind)
        if found is None:
            return _unknown(value, kind)
        members = found.pack(value, self.of, depth - 2)
        if isinstance(members, Tagged):
            return Tagged({"_type": found.tag, **members})
        return self._list(members, depth) if type(members) is list else self.of(members, depth)


def _text(value: str) -> Any:
    if len(value) > MAX_BYTES:
        left = len(value) - MAX_BYTES
        return clean(value[:MAX_BYTES]) + f"… ({left} characters left out)"
    if is_clean(value):
        return value
    data = base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()
    return Tagged(_type="str", text=clean(value), data=data)


def _int(value: int) -> Any:
    if -(2**63) <= value < 2**64:
        return value
    return Tagged(_type="int", value=hex(value) if value.bit_length() > 10_000 else str(value))


def _float(value: float) -> Any:
    if math.isfinite(value):
        return value
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return Tagged(_type="float", value=name)


def _marker(what: str, kind: type) -> Tagged:
    return Tagged(_type=what, **{"class": path_of(kind)})


def _unknown(value: Any, kind: type) -> Tagged:
    """An object of no known kind: its class, its text, and its picture if it has one."""
    out = Tagged(_type="object", **{"class": path_of(kind)}, text=safe_repr(value)[:_MAX_TEXT])
    for name, mime in (("_repr_png_", "image/png"), ("_repr_jpeg_", "image/jpeg")):
        try:
            draw = cast("Any", getattr(kind, name, None))
            data = draw(value) if callable(draw) else None
        except Exception:
            continue
        if isinstance(data, bytes) and len(data) <= MAX_BYTES:
            out.update(mime=mime, data=base64.b64encode(data).decode(), len=len(data))
            break
    return out
