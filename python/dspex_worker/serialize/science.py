"""Kinds of numpy and pandas, found by name: neither package is imported for them (R50)."""

from __future__ import annotations

import base64
import sys
import zlib
from typing import Any

from .kinds import MAX_BYTES, Encode, Kind, Tagged, register

# The most cells of an array or table that are written as JSON numbers.
_MAX_CELLS = 10_000
# The most cells of a table that are carried; beyond it only its first rows.
_MAX_TABLE = 500_000
_HEAD = 100


def enter() -> None:
    """Enter these kinds in the table."""
    register("numpy:ndarray", Kind("ndarray", _array, _unarray))
    register("numpy:generic", Kind("ndarray", _scalar))
    for name, module, kind in (
        ("DataFrame", "core.frame", Kind("DataFrame", _frame, _unframe)),
        ("Series", "core.series", Kind("Series", _series, _unseries)),
        ("Index", "core.indexes.base", Kind("Index", _index, _unindex)),
        ("Timestamp", "_libs.tslibs.timestamps", Kind("Timestamp", _stamp, _unstamp)),
        ("Timedelta", "_libs.tslibs.timedeltas", Kind("Timedelta", _delta, _undelta)),
        ("NaTType", "_libs.tslibs.nattype", Kind("NaT", _empty, lambda m: _pandas().NaT)),
        ("NAType", "_libs.missing", Kind("NA", _empty, lambda m: _pandas().NA)),
    ):
        # Where a class says it lives differs from one pandas to the next.
        for home in ("pandas", "pandas.api.typing", f"pandas.{module}"):
            register(f"{home}:{name}", kind)


def _array(value: Any, encode: Encode, depth: int) -> Any:
    out = Tagged(data=None, shape=[int(n) for n in value.shape], dtype=str(value.dtype))
    if value.dtype.names is not None:
        return Tagged(out, omitted=True)
    if value.dtype.kind in "OmM":  # of objects, or of times: one by one
        if value.size > _MAX_CELLS:
            return Tagged(out, omitted=True, head=encode(value.flat[:_HEAD].tolist(), depth - 1))
        items = value if value.dtype.kind == "O" else value.astype("int64")
        return Tagged(out, data=encode(items.tolist(), depth))
    wide = value.dtype.kind in "fc" and value.dtype.char not in "efdFD"
    if value.size <= _MAX_CELLS and not wide:
        return Tagged(out, data=encode(value.tolist(), depth))
    if not wide:
        out["head"] = encode(value.flat[:_HEAD].tolist(), depth - 1)
    if value.nbytes > MAX_BYTES:
        return Tagged(out, omitted=True)
    raw = zlib.compress(value.tobytes(), 1)
    return Tagged(out, dtype=value.dtype.str, base64=base64.b64encode(raw).decode())


def _unarray(members: dict[str, Any]) -> Any:
    import numpy

    if members.get("omitted"):
        raise ValueError("only its start was kept")
    dtype, shape = numpy.dtype(members["dtype"]), members["shape"]
    if members.get("base64") is not None:
        raw = zlib.decompress(base64.b64decode(members["base64"]))
        return numpy.frombuffer(raw, dtype=dtype).reshape(shape).copy()
    if dtype.kind == "O":
        made = numpy.empty(shape, dtype=object)
        flat = _flatten(members["data"], len(shape))
        for at, item in enumerate(flat):
            made.flat[at] = item
        return made
    if dtype.kind in "mM":
        return numpy.array(members["data"], dtype="int64").reshape(shape).astype(dtype)
    return numpy.array(members["data"], dtype=dtype).reshape(shape)


def _flatten(data: Any, dimensions: int) -> list[Any]:
    if dimensions == 0:
        return [data]
    return [cell for part in data for cell in _flatten(part, dimensions - 1)]


def _scalar(value: Any, encode: Encode, depth: int) -> Any:
    item = value.item()
    if isinstance(item, type(value)) or value.dtype.kind in "mM":
        import numpy

        return _array(numpy.asarray(value), encode, depth)
    return item


def _frame(value: Any, encode: Encode, depth: int) -> Any:
    shown = value if value.size <= _MAX_TABLE else value.head(_HEAD)
    columns = [shown.iloc[:, at] for at in range(shown.shape[1])]
    out = Tagged(
        columns=encode(list(value.columns), depth),
        dtypes=[_dtype(dtype, encode, depth - 1) for dtype in value.dtypes],
        index=_labels(shown.index, encode, depth),
        data=[encode(column.tolist(), depth - 1) for column in columns],
        len=len(value),
    )
    return out if shown is value else Tagged(out, omitted=True)


def _unframe(members: dict[str, Any]) -> Any:
    if members.get("omitted"):
        raise ValueError("only its first rows were kept")
    pandas = _pandas()
    index = _unlabels(members["index"], members["len"])
    columns = [
        pandas.Series(data, index=index, dtype=_undtype(dtype))
        for data, dtype in zip(members["data"], members["dtypes"], strict=True)
    ]
    made = pandas.concat(columns, axis=1) if columns else pandas.DataFrame(index=index)
    made.columns = members["columns"]
    return made


def _series(value: Any, encode: Encode, depth: int) -> Any:
    shown = value if value.size <= _MAX_TABLE else value.head(_HEAD)
    out = Tagged(
        name=encode(value.name, depth),
        dtype=_dtype(value.dtype, encode, depth),
        index=_labels(shown.index, encode, depth),
        data=encode(shown.tolist(), depth),
        len=len(value),
    )
    return out if shown is value else Tagged(out, omitted=True)


def _unseries(members: dict[str, Any]) -> Any:
    if members.get("omitted"):
        raise ValueError("only its first rows were kept")
    index = _unlabels(members["index"], members["len"])
    return _pandas().Series(
        members["data"], index=index, dtype=_undtype(members["dtype"]), name=members["name"]
    )


def _dtype(dtype: Any, encode: Encode, depth: int) -> Any:
    """A type by its name; that of categories has members."""
    categories = getattr(dtype, "categories", None)
    if categories is None:
        return str(dtype)
    return {"categories": encode(categories, depth - 1), "ordered": bool(dtype.ordered)}


def _undtype(dtype: Any) -> Any:
    if isinstance(dtype, dict):
        return _pandas().CategoricalDtype(dtype["categories"], dtype["ordered"])
    return dtype


def _index(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(data=encode(list(value), depth), dtype=str(value.dtype))


def _unindex(members: dict[str, Any]) -> Any:
    return _pandas().Index(members["data"], dtype=members["dtype"])


def _labels(index: Any, encode: Encode, depth: int) -> Any:
    """The labels of rows; `None` where they are just counted."""
    pandas = _pandas()
    if isinstance(index, pandas.RangeIndex) and index.start == 0 and index.step == 1:
        return None
    return encode(index, depth)


def _unlabels(labels: Any, count: int) -> Any:
    return _pandas().RangeIndex(count) if labels is None else labels


def _stamp(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(value=value.isoformat())


def _unstamp(members: dict[str, Any]) -> Any:
    return _pandas().Timestamp(members["value"])


def _delta(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(value=value.value)


def _undelta(members: dict[str, Any]) -> Any:
    return _pandas().Timedelta(members["value"], unit="ns")


def _empty(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged()


def _pandas() -> Any:
    return sys.modules["pandas"]
