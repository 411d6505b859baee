"""The table of operations: names, functions, and under which LM they run.

An operation takes its arguments and a `Job`. Families are imported on first use,
so that a worker is ready soon after DSPy is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import errors, registered

Operation = Callable[[dict[str, Any], "Job"], Any]

_FAMILIES = {
    "cells": ("run_cell", "set_lm", "restore"),
    "kernel": ("complete", "inspect"),
    "signature": ("create_signature", "parse_signature", "render_prompt", "validate_inputs"),
    "module": ("list_dspy_modules", "execute_module", "generate"),
    "program": ("create_program", "execute_program", "save_program", "load_program"),
    "sandbox": ("execute_code",),
    "tool": ("register_tool", "register_mcp_server", "register_module", "call_tool"),
    "data": ("load_dataset", "evaluate_pipeline"),
    "batch": ("run_batch",),
    "optimize": ("bootstrap_examples", "optimize_prompt", "train_model"),
    "jobs": ("ship", "adopt", "enlist", "evaluate_part", "clock"),
    "health": ("echo", "health_check", "price", "test_lm"),
}
_FAMILY_OF = {name: family for family, names in _FAMILIES.items() for name in names}
_known: dict[str, Operation] = {}


@dataclass(frozen=True)
class Job:
    """The circumstances of a request."""

    operation: str
    run: int | None
    cell: int | None
    lm: dict[str, Any] | None


def operation(name: str) -> Callable[[Operation], Operation]:
    """Register the decorated function under `name`."""

    def register(function: Operation) -> Operation:
        _known[name] = function
        return function

    return register


def call(name: str, request: dict[str, Any]) -> Any:
    """Carry out a request."""
    if name not in _known:
        family = _FAMILY_OF.get(name)
        if family is None:
            raise errors.unknown("operation", name, _FAMILY_OF)
        importlib.import_module(f"{__package__}.{family}")
    arguments = request.get("arguments") or {}
    if not isinstance(arguments, dict):
        raise errors.Refusal("invalid_argument", "the arguments must be one JSON object")
    registered.update(arguments.pop("registered", None))
    job = Job(name, request.get("run"), request.get("cell"), request.get("lm"))
    return _known[name](arguments, job)
