"""Completion and inspection of Python at a cursor: read-only, safe beside a running cell."""

from __future__ import annotations

import re
from typing import Any

from .. import serialize
from . import shell

_MOST = 200


def complete(source: str, cursor: int) -> list[dict[str, Any]]:
    """Names that fit at `cursor` (characters)."""
    from IPython.core.completer import provisionalcompleter

    cursor = max(0, min(cursor, len(source)))
    matches: list[dict[str, Any]] = []
    with provisionalcompleter():
        for found in shell.get().Completer.completions(source, cursor):
            matches.append(
                {
                    "text": found.text,
                    "start": found.start,
                    "end": found.end,
                    "type": found.type or "",
                }
            )
            if len(matches) >= _MOST:
                break
    return matches


def inspect(source: str, cursor: int) -> dict[str, Any]:
    """What the name at `cursor` is, as a MIME bundle."""
    name = name_at(source, cursor)
    if not name:
        return {"found": False}
    try:
        data = shell.get().object_inspect_mime(name, detail_level=0)
    except KeyError:
        return {"found": False}
    return {"found": True, "name": name, "data": serialize.plain(dict(data))}


def name_at(source: str, cursor: int) -> str:
    """The dotted name under the cursor, or that of the call the cursor is in."""
    cursor = max(0, min(cursor, len(source)))
    for found in re.finditer(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*", source):
        if found.start() <= cursor <= found.end():
            return found.group()
    before = source[:cursor]
    depth = 0
    for index in range(len(before) - 1, -1, -1):
        if before[index] == ")":
            depth += 1
        elif before[index] == "(":
            if depth == 0:
                call = re.search(r"[^\W\d][\w.]*$", before[:index])
                return call.group() if call else ""
            depth -= 1
    return ""
