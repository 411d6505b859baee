"""Running a program object for a request: inputs checked, LM in place, result plain."""

from __future__ import annotations

import contextlib
from typing import Any

import dspy

from . import lms, recording, serialize, signatures
from .errors import Refusal, near_matches
from .operations.registry import Job


def require(signature: Any, inputs: dict[str, Any]) -> None:
    """Refuse missing and unknown inputs before anything is paid for."""
    problems = signatures.check_inputs(signature, inputs)
    missing = [p["field"] for p in problems if p["problem"] == "missing"]
    extra = [p["field"] for p in problems if p["problem"] == "unknown"]
    known = list(signature.input_fields)
    if missing:
        near = near_matches(extra[0], missing) if extra else []
        raise Refusal(
            "missing_input",
            f"missing input: {', '.join(f'`{m}`' for m in missing)}",
            hint=f"inputs: {', '.join(known)}",
            near=near,
            fields=missing,
        )
    if extra:
        raise Refusal(
            "unknown_input",
            f"no input is called `{extra[0]}`",
            hint=f"inputs: {', '.join(known)}",
            near=near_matches(extra[0], known),
        )


def run(
    program: Any,
    inputs: dict[str, Any],
    job: Job,
    config: Any = None,
    again: int = 0,
) -> dict[str, Any]:
    """Run it under the request's LM; the prediction as a plain object (R48).

    `again` counts the attempts before this one: each asks the LM anew, past every cache.
    """
    given = {str(key): serialize.restore(value) for key, value in inputs.items()}
    if config:
        given["config"] = dict(config)
    with contextlib.ExitStack() as stack:
        lm = stack.enter_context(lms.under(job.lm))
        if again:
            stack.enter_context(dspy.context(lm=lm.copy(rollout_id=again, temperature=1.0)))
        record = stack.enter_context(recording.record())
        prediction = program(**given)
    if prediction is None:
        raise Refusal(
            "no_prediction",
            "no attempt gave an answer",
            klass="lm",
            strategy="retry",
            hint="run the module itself, such as Predict, to see why",
        )
    result = dict(prediction) if isinstance(prediction, dict) else serialize.result(prediction)
    record.add_to(result)
    return result
