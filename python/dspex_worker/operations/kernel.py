"""Completion and inspection."""

from __future__ import annotations

from typing import Any

from ..kernel import completion
from .registry import Job, operation


def _place(arguments: dict[str, Any]) -> tuple[str, int]:
    source = str(arguments.get("source") or "")
    cursor = arguments.get("cursor")
    return source, cursor if isinstance(cursor, int) else len(source)


@operation("complete")
def complete(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Names that fit at the cursor."""
    return {"matches": completion.complete(*_place(arguments))}


@operation("inspect")
def inspect(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """What the name at the cursor is."""
    return completion.inspect(*_place(arguments))
