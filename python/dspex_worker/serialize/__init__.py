"""One serialiser for everything DSPy returns (R48-R51, R55).

`dumps` encodes any value; `restore` makes equal values of what `loads` reads. What
JSON cannot say is tagged `{"_type": kind, ...}`; the kinds are in `builtin`, `models`
and `science`. A value that JSON can say whole is not walked in Python at all: the
native module writes it, or, where it has long text, looks through it for orjson.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import _dspex

from .decode import restore
from .encode import MAX_DEPTH, MOST, plain
from .models import fields_of
from .text import is_clean, safe_repr, short

try:
    import orjson
except ImportError:  # an environment without it is served by the standard library
    orjson = None

__all__ = [
    "dumps",
    "dumps_flat",
    "fields_of",
    "is_long",
    "loads",
    "pieces",
    "plain",
    "restore",
    "result",
    "safe_repr",
    "short",
]

# A list longer than this is worth encoding by the piece.
_MANY = 5_000
_BATCH = 500


def dumps(value: Any) -> bytes:
    """The JSON of any value."""
    if (written := _dspex.write_json(value, MAX_DEPTH, MOST)) is not None:
        return written
    if orjson is not None and _dspex.count_json(value, MAX_DEPTH, MOST) > 0:
        with contextlib.suppress(TypeError, ValueError):
            return orjson.dumps(value)
    return _dump(plain(value))


def dumps_flat(values: dict[str, Any]) -> bytes:
    """The JSON of names and scalars (`short`), without a look at them."""
    if orjson is not None:
        with contextlib.suppress(TypeError, ValueError):
            return orjson.dumps(values)
    return dumps(values)


def loads(data: bytes | str) -> Any:
    """The value of a JSON text; `restore` brings tagged ones back."""
    if orjson is not None:
        return orjson.loads(data)
    return json.loads(data)


def result(value: Any) -> dict[str, Any]:
    """A module's result by field; what is not a prediction goes under `result` (R48)."""
    fields = fields_of(value)
    return {"result": value} if fields is None else fields


def is_long(value: Any, depth: int = 3) -> bool:
    """Whether a list of thousands is among the members of this object."""
    if type(value) is list:
        return len(value) > _MANY
    if type(value) is dict and depth > 0 and len(value) <= 64:
        return any(is_long(member, depth - 1) for member in value.values())
    return False


def pieces(value: Any) -> Iterator[bytes]:
    """The same JSON as `dumps`, long lists some items at a time, so that it is never held whole."""
    if type(value) is dict and is_long(value) and _has_plain_keys(value):
        start = b"{"
        for key, member in value.items():
            yield start + dumps(key) + b":"
            yield from pieces(member)
            start = b","
        yield b"}"
        return
    if type(value) is list and len(value) > _MANY:
        start = b"["
        for at in range(0, len(value), _BATCH):
            yield start + dumps(value[at : at + _BATCH])[1:-1]
            start = b","
        yield b"]"
        return
    yield dumps(value)


def _has_plain_keys(value: dict[Any, Any]) -> bool:
    return "_type" not in value and all(type(key) is str and is_clean(key) for key in value)


def _dump(clean: Any) -> bytes:
    if orjson is not None:
        with contextlib.suppress(TypeError, ValueError):
            return orjson.dumps(clean)
    return json.dumps(clean, ensure_ascii=False, allow_nan=False).encode()
