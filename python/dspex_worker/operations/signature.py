"""Signatures, prompts and inputs: no LM is called."""

from __future__ import annotations

from typing import Any

from .. import optimizers, programs, signatures
from ..errors import Refusal
from .registry import Job, operation


@operation("create_signature")
def create_signature(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """DSPy's verdict on a signature, and its fields (R18)."""
    signature = signatures.parse(_raw(arguments), arguments.get("instructions"))
    return dict(signatures.describe(signature))


@operation("parse_signature")
def parse_signature(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """The fields of a signature that may be half typed (R41)."""
    raw = _raw(arguments)
    if isinstance(raw, str):
        return signatures.lenient(raw)
    found = signatures.describe(signatures.parse(raw))
    return {**found, "complete": bool(found["outputs"]), "note": ""}


@operation("render_prompt")
def render_prompt(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """The messages that would be sent."""
    signature = signatures.parse(_raw(arguments), arguments.get("instructions"))
    made = optimizers.messages(
        str(arguments.get("adapter") or "chat"),
        signature,
        arguments.get("demos") or [],
        arguments.get("inputs") or {},
    )
    size = sum(len(str(message["content"])) for message in made)
    return {"messages": made, "tokens_estimate": (size + 3) // 4}


@operation("validate_inputs")
def validate_inputs(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """All that is missing or wrong, at once (R19)."""
    program = arguments.get("program")
    if program is not None:
        signature = programs.signature_of(programs.get(program))
        if signature is None:
            return {"ok": True, "problems": []}
    else:
        signature = signatures.parse(_raw(arguments))
    problems = signatures.check_inputs(signature, arguments.get("inputs") or {})
    return {"ok": not problems, "problems": problems}


def _raw(arguments: dict[str, Any]) -> Any:
    raw = arguments.get("signature")
    if raw is None:
        raise Refusal("missing_argument", "give a `signature`, such as `question -> answer`")
    return raw
