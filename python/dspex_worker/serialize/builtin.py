"""Kinds of Python's own classes: containers, bytes, times, numbers, paths, exceptions."""

from __future__ import annotations

import base64
import datetime
import decimal
import fractions
import itertools
import pathlib
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from .kinds import MAX_BYTES, MAX_ITEMS, Encode, Kind, Tagged, class_at, path_of, register
from .text import clean, safe_repr

# The most items of a mapping that makes them up as it is asked.
_MAX_ASKED = 10_000

# The methods of the classes themselves: a subclass may have others that lie, or raise.
_PLAIN: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    dict: lambda value: dict(dict.items(value)),
    list: lambda value: list(list.__iter__(value)),
}


def enter() -> None:
    """Enter these kinds in the table."""
    for cls, method in _PLAIN.items():
        register(path_of(cls), Kind(cls.__name__, lambda v, _e, _d, m=method: m(v)))
    register(
        "builtins:str*", Kind("str", _never, lambda m: _unbase(m).decode("utf-8", "surrogatepass"))
    )
    register("builtins:int*", Kind("int", _never, lambda m: int(m["value"], 0)))
    register("builtins:float*", Kind("float", _never, lambda m: float(m["value"])))
    register("builtins:dict*", Kind("dict", _never, _undict))
    register("collections.abc:Mapping", Kind("mapping", _mapping))
    for cls in (tuple, set, frozenset):
        register(path_of(cls), Kind(cls.__name__, _items(cls), _unitems(cls)))
    for cls in (type({}.keys()), type({}.values()), type({}.items())):
        register(path_of(cls), Kind("list", lambda v, _e, _d: list(v)))
    for cls in (bytes, bytearray):
        register(path_of(cls), Kind(cls.__name__, _bytes, lambda m, c=cls: c(_unbase(m))))
    register("builtins:memoryview", Kind("bytes", lambda v, e, d: _bytes(v.tobytes(), e, d)))
    register("builtins:range", Kind("range", _range, lambda m: range(*m["args"])))
    register("builtins:complex", Kind("complex", _complex, lambda m: complex(m["real"], m["imag"])))
    register("builtins:type", Kind("class", _class, lambda m: class_at(m["class"])))
    register("builtins:BaseException", Kind("exception", _exception))
    for cls in (datetime.datetime, datetime.date, datetime.time):
        register(
            path_of(cls), Kind(cls.__name__, _iso, lambda m, c=cls: c.fromisoformat(m["value"]))
        )
    register(path_of(datetime.timedelta), Kind("timedelta", _timedelta, _untimedelta))
    register(
        path_of(decimal.Decimal), Kind("Decimal", _text, lambda m: decimal.Decimal(m["value"]))
    )
    register(
        path_of(fractions.Fraction),
        Kind("Fraction", _text, lambda m: fractions.Fraction(m["value"])),
    )
    register(path_of(uuid.UUID), Kind("UUID", _text, lambda m: uuid.UUID(m["value"])))
    for cls in (pathlib.Path, pathlib.PurePosixPath, pathlib.PureWindowsPath):
        register(path_of(cls), Kind(cls.__name__, _text, lambda m, c=cls: c(m["value"])))


def pairs(value: dict[Any, Any], encode: Encode, depth: int) -> Tagged:
    """A mapping whose keys JSON cannot say."""
    taken = itertools.islice(value.items(), MAX_ITEMS)
    out = [[encode(key, depth - 3), encode(item, depth - 3)] for key, item in taken]
    tagged = Tagged(_type="dict", items=out)
    if len(value) > MAX_ITEMS:
        tagged["left_out"] = len(value) - MAX_ITEMS
    return tagged


def _never(value: Any, encode: Encode, depth: int) -> Any:
    raise TypeError("the walk says these itself")


def _mapping(value: Any, encode: Encode, depth: int) -> Any:
    return dict(itertools.islice(value.items(), _MAX_ASKED))


def _undict(members: dict[str, Any]) -> dict[Any, Any]:
    return dict(members["items"])


def _items(cls: Any) -> Callable[[Any, Encode, int], Any]:
    def pack(value: Any, encode: Encode, depth: int) -> Any:
        items: Iterable[Any] = cls.__iter__(value)
        if cls is not tuple:  # in one order, whatever the hashes of this process are
            items = sorted(items, key=safe_repr)
        out = Tagged(items=[encode(item, depth) for item in itertools.islice(items, MAX_ITEMS)])
        left = cls.__len__(value) - MAX_ITEMS
        return Tagged(out, left_out=left) if left > 0 else out

    return pack


def _unitems(cls: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda members: cls(members["items"])


def _bytes(value: Any, encode: Encode, depth: int) -> Any:
    data = memoryview(value)
    if data.nbytes > MAX_BYTES:
        start = base64.b64encode(data[:1024]).decode()
        return Tagged(data=start, len=data.nbytes, omitted=True)
    return Tagged(data=base64.b64encode(data).decode(), len=data.nbytes)


def _unbase(members: dict[str, Any]) -> bytes:
    if members.get("omitted"):
        raise ValueError("only its start was kept")
    return base64.b64decode(members["data"], validate=True)


def _range(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(args=[encode(part, depth) for part in (value.start, value.stop, value.step)])


def _complex(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(real=encode(value.real, depth), imag=encode(value.imag, depth))


def _class(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(**{"class": path_of(value)})


def _exception(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(**{"class": path_of(type(value))}, text=clean(str(value))[:2000])


def _iso(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(value=value.isoformat())


def _timedelta(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(days=value.days, seconds=value.seconds, microseconds=value.microseconds)


def _untimedelta(members: dict[str, Any]) -> datetime.timedelta:
    return datetime.timedelta(**members)


def _text(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(value=encode(str(value), depth))
