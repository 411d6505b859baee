"""One serialiser for everything DSPy returns (R48-R51).

`plain` turns any value into JSON's own types within limits of depth and size;
`dumps` encodes. What JSON cannot say is tagged `{"_type": ...}`. Hostile objects
(cycles, raising `__repr__`) give a marker, never an exception.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import sys
import uuid
from collections.abc import Mapping
from typing import Any, cast

try:
    import orjson
except ImportError:  # an environment without it is served by the standard library
    orjson = None

MAX_DEPTH = 32
MAX_ITEMS = 100_000
MAX_TEXT = 16 * 1024 * 1024
_SAFE_INT = 2**53


def dumps(value: Any) -> bytes:
    """The JSON of any value."""
    clean = plain(value)
    if orjson is not None:
        with contextlib.suppress(TypeError, ValueError):
            return orjson.dumps(clean)
    return json.dumps(clean, ensure_ascii=False, allow_nan=False).encode()


def dumps_flat(values: dict[str, Any]) -> bytes:
    """The JSON of names and scalars (`short`), without a walk through them."""
    if orjson is not None:
        with contextlib.suppress(TypeError, ValueError):
            return orjson.dumps(values)
    return dumps(values)


def loads(data: bytes | str) -> Any:
    """The value of a JSON text."""
    if orjson is not None:
        return orjson.loads(data)
    return json.loads(data)


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """JSON's own types for any value."""
    return _plain(value, depth, set())


def result(value: Any) -> dict[str, Any]:
    """A module's result as a plain object; what is not a prediction goes under `result` (R48)."""
    fields = fields_of(value)
    return {"result": plain(value)} if fields is None else cast("dict[str, Any]", plain(fields))


def fields_of(value: Any) -> dict[str, Any] | None:
    """The public fields of a prediction or example, in order; `None` for anything else."""
    store = getattr(value, "_store", None)
    if not _is_example(value) or not isinstance(store, dict):
        return None
    return {str(k): v for k, v in store.items() if not str(k).startswith(("_", "dspy_"))}


def short(value: Any, limit: int = 200) -> Any:
    """A scalar as it is, anything else a text cut at `limit` characters."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _SAFE_INT else str(value)[:limit]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _clean(value if len(value) <= limit else value[: limit - 1] + "…")
    if isinstance(value, (list, tuple, set, frozenset, dict)) and len(value) > 50:
        return f"{type(value).__name__} of {len(value)}"
    text = safe_repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def safe_repr(value: Any) -> str:
    """`repr`, or a marker where it raises."""
    try:
        return _clean(repr(value))
    except Exception as error:
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"


def _plain(value: Any, depth: int, seen: set[int]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value, depth, seen)
    if isinstance(value, int):
        number = int(value)
        return number if abs(number) < 2**63 else {"_type": "int", "value": str(number)}
    if isinstance(value, float):
        return _float(float(value))
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        return {"_type": "bytes", "data": base64.b64encode(data[:MAX_TEXT]).decode()}
    if depth <= 0:
        return {"_type": "truncated", "class": type(value).__name__}
    if id(value) in seen:
        return {"_type": "cycle", "class": type(value).__name__}
    seen.add(id(value))
    try:
        return _compound(value, depth - 1, seen)
    except Exception:
        return _other(value)
    finally:
        seen.discard(id(value))


def _compound(value: Any, depth: int, seen: set[int]) -> Any:
    fields = fields_of(value)
    if fields is not None:
        return {_text_key(k): _plain(v, depth, seen) for k, v in fields.items()}
    if isinstance(value, Mapping):
        return _mapping(cast("Mapping[Any, Any]", value), depth, seen)
    if isinstance(value, (list, tuple, set, frozenset)) or _is_view(value):
        items = list(cast("list[Any]", value))
        if isinstance(value, (set, frozenset)):
            items.sort(key=safe_repr)
        out = [_plain(item, depth, seen) for item in items[:MAX_ITEMS]]
        if len(items) > MAX_ITEMS:
            out.append({"_type": "truncated", "left_out": len(items) - MAX_ITEMS})
        return out
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return {"_type": "timedelta", "seconds": value.total_seconds()}
    if isinstance(value, (decimal.Decimal, uuid.UUID, pathlib.PurePath)):
        return str(value)
    if isinstance(value, complex):
        return {"_type": "complex", "real": _float(value.real), "imag": _float(value.imag)}
    special = _scientific(value, depth, seen)
    if special is not None:
        return special
    if isinstance(value, type):
        return {"_type": "class", "text": f"{value.__module__}.{value.__qualname__}"}
    if isinstance(value, BaseException):
        return {"_type": type(value).__name__, "text": _clean(str(value))}
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return _plain(dump(), depth, seen)
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if f.repr]
        return {name: _plain(getattr(value, name), depth, seen) for name in names}
    return _other(value)


def _mapping(value: Mapping[Any, Any], depth: int, seen: set[int]) -> Any:
    if all(isinstance(key, str) for key in value):
        out: dict[str, Any] = {}
        for count, (key, item) in enumerate(value.items()):
            if count >= MAX_ITEMS:
                out["_left_out"] = len(value) - MAX_ITEMS
                break
            out[_text_key(key)] = _plain(item, depth, seen)
        return out
    pairs = [
        [_plain(key, depth, seen), _plain(item, depth, seen)]
        for key, item in list(value.items())[:MAX_ITEMS]
    ]
    keys = [key for key, _ in pairs]
    if all(isinstance(key, (str, int)) for key in keys) and len({str(k) for k in keys}) == len(
        keys
    ):
        return {str(key): item for key, item in pairs}
    return {"_type": "dict", "items": pairs}


def _scientific(value: Any, depth: int, seen: set[int]) -> Any:
    """numpy, pandas and images, looked up only where those packages are loaded."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            return _array(value)
        if isinstance(value, numpy.generic):
            return _plain(value.item(), depth, seen)
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            rows = value.head(1000).to_dict(orient="records")
            return {
                "_type": "DataFrame",
                "columns": [str(column) for column in value.columns],
                "rows": _plain(rows, depth, seen),
                "len": len(value),
            }
        if isinstance(value, pandas.Series):
            return {"_type": "Series", "data": _plain(value.head(1000).tolist(), depth, seen)}
        if value is pandas.NaT or value is pandas.NA:
            return None
    return None


def _array(value: Any) -> Any:
    shape, dtype = list(value.shape), str(value.dtype)
    if value.size > MAX_ITEMS:
        return {"_type": "ndarray", "data": None, "shape": shape, "dtype": dtype, "omitted": True}
    data = plain(value.tolist())
    return {"_type": "ndarray", "data": data, "shape": shape, "dtype": dtype}


def restore(value: Any) -> Any:
    """Tagged numbers, bytes and arrays back as they were; everything else as it is."""
    if isinstance(value, list):
        return [restore(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    data = cast("dict[str, Any]", value)
    kind = data.get("_type")
    try:
        if kind == "float":
            return float(data["value"])
        if kind == "int":
            return int(data["value"])
        if kind == "bytes":
            return base64.b64decode(data["data"])
        if kind == "dict":
            return {_hashable(restore(k)): restore(v) for k, v in data["items"]}
        if kind == "ndarray" and data.get("data") is not None:
            import numpy

            return numpy.array(restore(data["data"]), dtype=data["dtype"]).reshape(data["shape"])
    except (KeyError, ImportError, TypeError, ValueError):
        return data
    return {key: restore(item) for key, item in data.items()}


def _hashable(value: Any) -> Any:
    return tuple(_hashable(v) for v in value) if isinstance(value, list) else value


def _other(value: Any) -> dict[str, Any]:
    text = safe_repr(value)
    return {"_type": type(value).__name__, "text": text[:2000]}


def _float(value: float) -> Any:
    if math.isfinite(value):
        return value
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return {"_type": "float", "value": name}


def _text(value: str) -> str:
    clean = _clean(value)
    if len(clean) <= MAX_TEXT:
        return clean
    return clean[:MAX_TEXT] + f"… ({len(clean) - MAX_TEXT} characters left out)"


def _text_key(key: Any) -> str:
    return _clean(str(key))[:1000]


def _clean(text: str) -> str:
    """Text without lone surrogates, which UTF-8 cannot carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _is_example(value: Any) -> bool:
    dspy = sys.modules.get("dspy")
    kind = getattr(dspy, "Example", None)
    return isinstance(kind, type) and isinstance(value, kind)


def _is_view(value: Any) -> bool:
    return isinstance(value, (type({}.keys()), type({}.values()), type({}.items()), range))
