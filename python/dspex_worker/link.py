"""Sending messages: the thin layer over `_dspex.send`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import _dspex

from . import serialize


def send(kind: str, payload: Mapping[str, Any], to: int = 0) -> None:
    """Send one message; `to` is the request it answers."""
    if serialize.is_long(payload):
        _dspex.send_pieces(kind, to, serialize.pieces(payload))
    else:
        _dspex.send(kind, to, serialize.dumps(payload))


def answer(to: int, result: Any) -> None:
    """Say that a request went well."""
    send("answer", {"ok": True, "result": result}, to)


def refuse(to: int, error: Mapping[str, Any]) -> None:
    """Say why a request did not go well."""
    send("answer", {"ok": False, "error": error}, to)


def log(level: str, text: str) -> None:
    """A line for the workbench's log; never raises."""
    with contextlib.suppress(Exception):
        send("log", {"level": level, "text": text.replace("\n", " ")[:2000]})


def progress(run: int | None, step: str, **facts: Any) -> None:
    """A step of an evaluation or optimisation."""
    if run is not None:
        send("progress", {"run": run, "progress": {"step": step, **facts}})
