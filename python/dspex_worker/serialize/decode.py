"""Tagged JSON back to values. Reading runs no code but that of classes loaded already."""

from __future__ import annotations

from typing import Any, cast

import _dspex

from .encode import MAX_DEPTH, MOST
from .kinds import Tagged, tagged

_MARKERS = ("object", "exception", "cycle", "truncated")


def restore(value: Any) -> Any:
    """An equal value of what `loads` read; a tag that cannot be followed stays what it is."""
    if not isinstance(value, (list, dict)) or _dspex.count_json(value, MAX_DEPTH, MOST) > 0:
        return value
    return _restore(value)


def _restore(value: Any) -> Any:
    if isinstance(value, list):
        return [_restore(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    data = cast("dict[str, Any]", value)
    if "_type" not in data:
        return {key: _restore(item) for key, item in data.items()}
    kind = tagged(data["_type"])
    if kind is None or kind.unpack is None:
        # A marker of ours stays one; any other object is somebody's own.
        return Tagged(data) if data["_type"] in _MARKERS else data
    try:
        members = {key: _restore(item) for key, item in data.items() if key != "_type"}
        return kind.unpack(members)
    except Exception:
        return Tagged(data)
