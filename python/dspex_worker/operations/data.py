"""Datasets and evaluation."""

from __future__ import annotations

from typing import Any

from .. import composed, datasets, link, lms, metrics, optimizers, programs
from ..errors import Refusal, near_matches
from .registry import Job, operation


@operation("load_dataset")
def load_dataset(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Read examples (R110)."""
    return dict(datasets.load(arguments))


@operation("evaluate_pipeline")
def evaluate_pipeline(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Score a program on a dataset (R20)."""
    program, data, metric = subject(arguments)
    with lms.under(job.lm):
        link.progress(job.run, "phase", name="evaluate", total=len(data))
        result = optimizers.evaluate(program, data, metric, threads(arguments), job.run)
        optimizers.candidate(job.run, 0, "as it was", program, result["score"], None)
    return result


def subject(arguments: dict[str, Any], key: str = "dataset") -> tuple[Any, list[Any], Any]:
    """The program, examples and metric of a request."""
    wanted = arguments.get("program")
    if wanted is None and arguments.get("module"):
        wanted = programs.define({k: arguments.get(k) for k in ("module", "signature", "options")})
    if wanted is None:
        raise Refusal("missing_argument", "say which `program` to use")
    if arguments.get(key) is None:
        raise Refusal("missing_argument", f"say which `{key}` to use")
    program = programs.get(wanted)
    examples = datasets.examples(arguments[key])
    _fit(program, examples)
    return program, examples, metrics.find(arguments.get("metric"))


def _fit(program: Any, examples: list[Any]) -> None:
    """Refuse a dataset that lacks what the program is asked with."""
    signature = programs.signature_of(program)
    if signature is None or not examples or isinstance(program, composed.OWN_INPUTS):
        return
    given = list(examples[0].inputs().keys())
    missing = [name for name in signature.input_fields if name not in given]
    if missing:
        raise Refusal(
            "missing_input",
            f"the examples have no input `{missing[0]}`, which the program needs",
            hint=f"their inputs: {', '.join(given)}; load them with other `inputs`",
            near=near_matches(missing[0], given),
        )


def threads(arguments: dict[str, Any]) -> int:
    """How many examples at once."""
    number = arguments.get("num_threads")
    return number if isinstance(number, int) and number > 0 else 8
