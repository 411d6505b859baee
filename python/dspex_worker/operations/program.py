"""Programs: made once, run often."""

from __future__ import annotations

import itertools
from typing import Any

from dspy.utils.exceptions import AdapterParseError, ContextWindowExceededError

from .. import composed, programs, recovery, running, saved
from ..errors import Refusal
from .registry import Job, operation


@operation("create_program")
def create_program(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """A program as data, after it was built once (R14)."""
    return dict(programs.define(arguments))


@operation("execute_program")
def execute_program(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Run a program (R15); what was learned is done without where it fails (R100)."""
    wanted = arguments.get("program")
    if wanted is None:
        raise Refusal("missing_argument", "say which `program` to run")
    program = programs.get(wanted)
    inputs = arguments.get("inputs") or {}
    signature = programs.signature_of(program)
    if signature is not None and not isinstance(program, composed.OWN_INPUTS):
        running.require(signature, inputs)
    config = arguments.get("config")
    plain = programs.unlearned(wanted)
    if plain is None:
        return running.run(program, inputs, job, config)
    tries = itertools.count()
    tried = recovery.attempt(
        lambda: running.run(program, inputs, job, config, again=next(tries)),
        "execute_program",
        job.run,
        _strategy,
    )
    if tried.value is not None:
        return tried.value
    result = running.run(programs.get(plain), inputs, job, config)
    result["fallback"] = tried.fallback
    reason = (tried.fallback or {})["reason"]
    result.setdefault("notes", []).append(f"answered without what was learned: {reason}")
    return result


def _strategy(error: Exception) -> str:
    """What demos and instructions may be to blame for; a server's failures are DSPy's to retry."""
    if isinstance(error, AdapterParseError):
        return "retry"
    return "fallback" if isinstance(error, ContextWindowExceededError) else "fatal"


@operation("save_program")
def save_program(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Write a program to a file (R113)."""
    return saved.save(arguments.get("program"), arguments.get("path"))


@operation("load_program")
def load_program(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Read a program from a file (R113)."""
    return saved.load(arguments)
