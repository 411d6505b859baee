"""What the session registered that a request may name: tools, MCP servers, modules.

The workbench hands it over with each request; the newest version counts. It keeps
data only: `tools` and `user_modules` make objects of it.
"""

from __future__ import annotations

import threading
from typing import Any

Definition = dict[str, Any]
_lock = threading.Lock()
_seq = -1
_kinds = ("tools", "servers", "modules")
_known: dict[str, dict[str, Definition]] = {kind: {} for kind in _kinds}


def update(data: Any) -> None:
    """Take over what a request brought, unless something newer is known."""
    global _seq
    if not isinstance(data, dict):
        return
    seq = int(data.get("seq") or 0)
    with _lock:
        if seq < _seq:
            return
        _seq = seq
        for kind in _kinds:
            _known[kind] = {str(one["name"]): one for one in data.get(kind) or []}


def find(kind: str, name: str) -> Definition | None:
    """The definition of a `tools`, `servers` or `modules` name."""
    return _known[kind].get(name)


def names(kind: str) -> list[str]:
    """All names of a kind."""
    return list(_known[kind])
