"""Pipelines: several modules in a row as one program.

Each step gets the inputs and what came before. It owns what flows between steps; making
a step is `modules`', searching is `retrieval`'s.
"""

from __future__ import annotations

from typing import Any

import dspy

from . import modules, retrieval, serialize
from .errors import Refusal

_CONTEXT = "context"


class Chain(dspy.Module):
    """Modules in a row; a retriever among them gives the steps after it a `context` (R39)."""

    shown_as = "Pipeline"

    def __init__(
        self, names: list[str], signature: Any, options: dict[str, dict[str, Any]]
    ) -> None:
        super().__init__()
        self.signature = outer(names, signature)
        self.asked_with = _asked_with(self.signature)
        self.steps = []
        given, answered = self.signature, False
        for name in names:
            its = options.get(name, {})
            if name in retrieval.NAMES:
                self.steps.append(modules.make(name, None, its))
                if _CONTEXT not in given.input_fields:
                    given = _with_context(given)
                continue
            step = _following(given) if answered else given
            self.steps.append(modules.make(name, step, its))
            answered = True
        if not answered:
            raise Refusal(
                "invalid_pipeline",
                "no step of this pipeline answers",
                hint="end it with one that asks the LM, such as `ChainOfThought`",
            )

    def forward(self, **inputs: Any) -> Any:
        """Run the steps; the result has the fields of all, later ones win."""
        fields: dict[str, Any] = {}
        found: dict[str, Any] = {}
        outputs = list(self.signature.output_fields)
        answered = False
        for step in self.steps:
            if isinstance(step, retrieval.RETRIEVERS):
                found = {_CONTEXT: step(query=str(inputs[self.asked_with])).passages}
                fields.update(found)
                continue
            earlier = {f"previous_{name}": fields.get(name) for name in outputs} if answered else {}
            done = step(**inputs, **found, **earlier)
            fields.update(serialize.fields_of(done) or {})
            answered = True
        return dspy.Prediction(**fields)


def outer(names: list[str], signature: Any) -> Any:
    """What a pipeline is asked with: not with the `context` that a retriever of it gives."""
    if _CONTEXT not in signature.input_fields or not any(n in retrieval.NAMES for n in names):
        return signature
    return signature.delete(_CONTEXT)


def _asked_with(signature: Any) -> str:
    """The input that is searched with: `query`, else the first."""
    names = list(signature.input_fields)
    if not names:
        raise Refusal(
            "invalid_signature",
            "a pipeline needs an input field besides `context`",
            hint="write what it is asked with, as in `question -> answer`",
        )
    return "query" if "query" in names else names[0]


def _with_context(signature: Any) -> Any:
    field = dspy.InputField(desc="passages that may hold the answer")
    return signature.prepend(_CONTEXT, field, type_=list[str])


def _following(signature: Any) -> Any:
    out = signature
    for name, info in signature.output_fields.items():
        field = dspy.InputField(desc=f"the {name} of the step before; improve on it")
        out = out.append(f"previous_{name}", field, type_=info.annotation)
    return out
