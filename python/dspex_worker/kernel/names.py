"""The names of the notebook after a cell: cheap even where their values are big."""

from __future__ import annotations

import contextlib
import time
import types
from typing import Any

from .. import datasets, programs, serialize, signatures
from ..protocol import NameInfo

_bound: dict[str, tuple[int, int | None]] = {}
_told: dict[str, bytes] = {}
_datasets: dict[str, tuple[int, ...]] = {}
_MOST_ROWS = 5000
# Seconds that looking at values, and telling what changed, may each take after a cell.
_PATIENCE = 0.1


def listing(namespace: dict[str, Any], hidden: Any, cell: int | None) -> list[NameInfo]:
    """One entry for each name a user made, sorted."""
    out: list[NameInfo] = []
    until = time.monotonic() + _PATIENCE
    for name in sorted(str(key) for key in list(namespace)):
        if (
            name.startswith("_")
            or name in hidden
            or name in ("In", "Out", "exit", "quit", "get_ipython")
        ):
            continue
        value = namespace[name]
        known = _bound.get(name)
        if known is None or known[0] != id(value):
            known = _bound[name] = (id(value), cell)
        late = time.monotonic() > until
        kind, summary, registered = ("variable", "", False) if late else _look(value)
        out.append(
            {
                "name": name,
                "kind": kind,
                "type": type(value).__name__,
                "summary": summary,
                "cell": known[1],
                "registered": registered,
            }
        )
    for gone in set(_bound) - set(namespace):
        _bound.pop(gone, None)
        _told.pop(gone, None)
    return out


def _look(value: Any) -> tuple[str, str, bool]:
    with contextlib.suppress(Exception):
        return _kind(value)
    return "variable", "", False


def _kind(value: Any) -> tuple[str, str, bool]:
    import dspy

    if isinstance(value, types.ModuleType):
        return "module", value.__name__, False
    if isinstance(value, type):
        if issubclass(value, dspy.Signature):
            return "signature", signatures.arrow(value), True
        return "class", value.__name__, False
    if isinstance(value, dspy.BaseLM):
        return "lm", str(getattr(value, "model", "")), False
    if isinstance(value, dspy.Module):
        reason = programs.unportable(value)
        return "program", programs.summary(value), reason is None
    if _is_dataset(value):
        return "dataset", f"{len(value)} examples", len(value) <= _MOST_ROWS
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
        return "function", value.__name__, False
    return "variable", _summary(value), False


def _summary(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float)):
        return str(serialize.short(value, 80))
    if isinstance(value, str):
        cut = value[:80]
        return repr(cut) + ("…" if len(value) > 80 else "")
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return "shape " + " by ".join(str(n) for n in shape)
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        return f"length {len(value)}"
    fields = serialize.fields_of(value)
    if fields is not None:
        return ", ".join(list(fields)[:8])
    return ""


def _is_dataset(value: Any) -> bool:
    import dspy

    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dspy.Example)
        and isinstance(value[-1], dspy.Example)
        and not isinstance(value[0], dspy.Prediction)
    )


def changes(namespace: dict[str, Any], listed: list[NameInfo]) -> dict[str, Any]:
    """Programs, signatures and datasets that this cell made or changed, as data."""
    out: dict[str, Any] = {"registered": [], "signatures": {}, "datasets": []}
    until = time.monotonic() + _PATIENCE
    for entry in listed:
        if not entry["registered"]:
            continue
        if time.monotonic() > until:
            break  # the rest is told after the next cell
        name = entry["name"]
        value = namespace.get(name)
        if entry["kind"] == "dataset" and value:
            # Encoding thousands of rows after each cell would be felt.
            seen = (id(value), len(value), id(value[0]), id(value[-1]))
            if _datasets.get(name) == seen:
                continue
            _datasets[name] = seen
        data: Any = None
        with contextlib.suppress(Exception):
            data = _described(value, name)
        if data is None:
            continue
        text = serialize.dumps(data)
        if _told.get(name) == text:
            continue
        _told[name] = text
        if entry["kind"] == "program":
            out["registered"].append(data)
        elif entry["kind"] == "signature":
            out["signatures"][name] = data
        else:
            out["datasets"].append(data)
    return out


def remember(name: str, value: Any) -> None:
    """What the session gave the notebook need not be told to the session."""
    if isinstance(value, list) and len(value) > _MOST_ROWS:
        return  # it is not told anyway
    with contextlib.suppress(Exception):
        data = _described(value, name)
        if data is not None:
            _told[name] = serialize.dumps(data)


def _described(value: Any, name: str) -> Any:
    """A program, signature or dataset as data; `None` for other things."""
    import dspy

    if _is_dataset(value):
        return datasets.of_examples(name, value, "cell")
    if isinstance(value, dspy.Module):
        return programs.describe(value, name)
    if isinstance(value, type) and issubclass(value, dspy.Signature):
        return signatures.describe(value)
    return None
