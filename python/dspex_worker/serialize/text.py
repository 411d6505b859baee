"""Text of any value: what UTF-8 can carry, and a `repr` that never raises."""

from __future__ import annotations

import math
from typing import Any

_SAFE_INT = 2**53


def short(value: Any, limit: int = 200) -> Any:
    """A scalar as it is, anything else a text cut at `limit` characters."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _SAFE_INT else str(value)[:limit]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return clean(value if len(value) <= limit else value[: limit - 1] + "…")
    if isinstance(value, (list, tuple, set, frozenset, dict)) and len(value) > 50:
        return f"{type(value).__name__} of {len(value)}"
    text = safe_repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def safe_repr(value: Any) -> str:
    """`repr`, or a marker where it raises or gives no text."""
    try:
        return clean(str.__str__(repr(value)))
    except (Exception, SystemExit) as error:
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"


def clean(text: str) -> str:
    """Text without lone surrogates, which UTF-8 cannot carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def is_clean(text: str) -> bool:
    """Whether UTF-8 can carry it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
