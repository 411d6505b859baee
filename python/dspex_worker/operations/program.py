"""Programs: made once, run often."""

from __future__ import annotations

from typing import Any

from .. import composed, programs, running, saved
from ..errors import Refusal
from .registry import Job, operation


@operation("create_program")
def create_program(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """A program as data, after it was built once (R14)."""
    return dict(programs.define(arguments))


@operation("execute_program")
def execute_program(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Run a program (R15)."""
    wanted = arguments.get("program")
    if wanted is None:
        raise Refusal("missing_argument", "say which `program` to run")
    program = programs.get(wanted)
    inputs = arguments.get("inputs") or {}
    signature = programs.signature_of(program)
    if signature is not None and not isinstance(program, composed.OWN_INPUTS):
        running.require(signature, inputs)
    return running.run(program, inputs, job, arguments.get("config"))


@operation("save_program")
def save_program(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Write a program to a file (R113)."""
    return saved.save(arguments.get("program"), arguments.get("path"))


@operation("load_program")
def load_program(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Read a program from a file (R113)."""
    return saved.load(arguments)
