"""Optimisation."""

from __future__ import annotations

import random
from typing import Any

from .. import datasets, lms, optimizers
from ..errors import Refusal
from .data import subject, threads
from .registry import Job, operation


@operation("bootstrap_examples")
def bootstrap_examples(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Demos that a program got right (R17)."""
    program, data, metric = subject(arguments)
    options = {
        key: arguments[key]
        for key in ("max_bootstrapped_demos", "max_labeled_demos")
        if arguments.get(key) is not None
    }
    with lms.under(job.lm, disable_history=True):
        compiled = optimizers.bootstrap(program, data, metric, job.run, options)
    demos = [
        demo for _, predictor in compiled.named_predictors() for demo in optimizers.demos(predictor)
    ]
    return {"demos": demos, "count": len(demos)}


@operation("optimize_prompt")
def optimize_prompt(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Compile a program and score it before and after (R16)."""
    optimizers.check(str(arguments.get("optimizer") or "BootstrapFewShot"))
    key = "trainset" if arguments.get("trainset") is not None else "dataset"
    program, data, metric = subject(arguments, key)
    options = dict(arguments.get("options") or {})
    holdout = options.pop("holdout", arguments.get("holdout", 0.5))
    optimizers.check_options(options)
    train, held_out = _parts(arguments, data, holdout)
    definition = _definition(arguments)
    with lms.under(job.lm, disable_history=True):
        return optimizers.optimize(
            program, definition, train, held_out, metric, threads(arguments), job.run, options
        )


@operation("train_model")
def train_model(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Fine-tune the LM of a program and score it before and after (R21)."""
    from .. import finetune

    program, data, metric = subject(arguments)
    options = dict(arguments.get("options") or {})
    finetune.check_options(options)
    train, held_out = _parts(arguments, data, options.get("holdout", 0.5))
    with lms.under(job.lm, disable_history=True):
        return finetune.train(
            program,
            _definition(arguments),
            train,
            held_out,
            metric,
            threads(arguments),
            job,
            options,
        )


def _definition(arguments: dict[str, Any]) -> dict[str, Any]:
    """The program as it was, also where it is only a name of the notebook."""
    definition = arguments.get("program")
    if isinstance(definition, dict):
        return definition
    return {"name": str(definition or "program"), "version": 1}


def _parts(arguments: dict[str, Any], data: list[Any], holdout: Any) -> tuple[list[Any], list[Any]]:
    """What is learned from, and what is held out."""
    if arguments.get("valset") is not None:
        return data, datasets.examples(arguments["valset"])
    return split(data, holdout)


def split(data: list[Any], holdout: Any) -> tuple[list[Any], list[Any]]:
    """A part for training, the rest held out; the same for the same data."""
    share = holdout if isinstance(holdout, (int, float)) and not isinstance(holdout, bool) else -1
    if not 0 < share < 1:
        raise Refusal("invalid_option", "`holdout` is a fraction between 0 and 1, such as 0.5")
    if len(data) < 2:
        raise Refusal("dataset_too_small", "there must be at least two examples, or a `valset`")
    kept = min(len(data) - 1, max(1, round(len(data) * (1 - share))))
    # Shuffled with a fixed seed, so that files sorted or striped by label are split fairly.
    order = list(range(len(data)))
    random.Random(0).shuffle(order)
    train = [data[index] for index in sorted(order[:kept])]
    held_out = [data[index] for index in sorted(order[kept:])]
    return train, held_out
