"""Modules run once."""

from __future__ import annotations

from typing import Any

from .. import composed, library, modules, running, signatures, user_modules
from ..errors import Refusal
from .registry import Job, operation


@operation("list_dspy_modules")
def list_dspy_modules(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """DSPy's modules with their options (R10)."""
    return {"modules": [*library.listing(), *user_modules.listing()]}


@operation("execute_module")
def execute_module(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Make a module and run it once (R11-R13)."""
    name = str(arguments.get("module") or "")
    modules.find(name)
    raw = arguments.get("signature")
    signature = None if raw is None else signatures.parse(raw, arguments.get("instructions"))
    made = modules.make(name, signature, arguments.get("options") or {})
    inputs = arguments.get("inputs") or {}
    if signature is not None and not isinstance(made, composed.OWN_INPUTS):
        running.require(signature, inputs)
    try:
        return running.run(made, inputs, job, arguments.get("config"))
    finally:
        modules.clean_up(made)


@operation("generate")
def generate(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Answer a prompt."""
    signature = signatures.parse(
        arguments.get("signature") or "prompt -> answer", arguments.get("instructions")
    )
    fields = list(signature.input_fields)
    if not fields:
        raise Refusal("invalid_signature", "the signature has no input field for the prompt")
    own = {"prompt", "module", "signature", "instructions", "lm", "options"}
    inputs = {key: value for key, value in arguments.items() if key not in own}
    # `temperature` and the like are options of the call, unless the signature has such a field.
    options = [key for key in inputs if key in library.lm_options() and key not in fields]
    config = {key: inputs.pop(key) for key in options}
    inputs[fields[0]] = arguments.get("prompt")
    library.check_lm_options("`generate`", {k: v for k, v in inputs.items() if k not in fields})
    running.require(signature, inputs)
    name = str(arguments.get("module") or "Predict")
    made = modules.make(name, signature, arguments.get("options") or {})
    return running.run(made, inputs, job, config)
