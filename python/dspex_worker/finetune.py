"""Fine-tuning: DSPy's BootstrapFinetune, with its reasons and its progress told (R21).

It owns which LM is trained, with which answers, and where the trained one is kept;
scoring and versions are `optimizers`'.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import _dspex
import dspy
from dspy.clients.openai import OpenAIProvider
from dspy.clients.provider import TrainingJob

from . import link, lms, metrics, optimizers, trace
from .errors import Refusal, first_line, near_matches
from .kernel import shell
from .operations.registry import Job

_OPTIONS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "train_kwargs": (dict, "an object, for the provider"),
    "exclude_demos": (bool, "true or false"),
    "metric_threshold": ((int, float), "a number"),
    "holdout": ((int, float), "a fraction between 0 and 1"),
}
# What may not stand in the name of a profile.
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_OWN_LM = "its LM was trained from an object of the notebook and is there only: train it again"


def check_options(options: dict[str, Any]) -> None:
    """Refuse an unknown or wrong option, before any call is paid for."""
    for name, value in options.items():
        if name not in _OPTIONS:
            near = near_matches(name, _OPTIONS)
            raise Refusal(
                "unknown_option",
                f"`train_model` has no option `{name}`",
                near=near,
                hint=f"did you mean `{near[0]}`?" if near else f"options: {', '.join(_OPTIONS)}",
            )
        kind, words = _OPTIONS[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Refusal("invalid_option", f"`{name}` must be {words}, not {value!r}")


def train(
    program: Any,
    definition: dict[str, Any],
    data: list[Any],
    held_out: list[Any],
    metric: Any,
    threads: int,
    job: Job,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Score, train the program's LM on the answers that were right, score again."""
    name = str(definition.get("name") or "program")
    student = _student(program, lms.current(job.lm))
    base = _profile(program, job)
    for lm in _lms(student):
        _require_training(lm, base)
    if base is None:
        _require_free(name)
    started, calls = time.monotonic(), trace.lm_count(job.run)

    link.progress(job.run, "phase", name="baseline", total=len(held_out))
    before = optimizers.evaluate(program, held_out, metric, threads, job.run, 0)["score"]
    optimizers.candidate(job.run, 0, "as it was", program, before, None)
    link.progress(job.run, "phase", name="collect", total=len(data))
    training = _Training(
        job.run,
        metric=_good(metric, options.get("metric_threshold")),
        num_threads=threads,
        train_kwargs=options.get("train_kwargs"),
        exclude_demos=bool(options.get("exclude_demos")),
    )
    trained = training.compile(student, trainset=data)
    link.progress(job.run, "phase", name="evaluate", total=len(held_out))
    after = optimizers.evaluate(trained, held_out, metric, threads, job.run, 1)["score"]
    optimizers.candidate(job.run, 1, "BootstrapFinetune", trained, after, 0)

    models = list(dict.fromkeys(str(lm.model) for lm in _lms(trained)))
    new = optimizers.successor(trained, definition, "BootstrapFinetune", after)
    answer: dict[str, Any] = {
        "model": ", ".join(models),
        "examples_used": training.used,
        "performance": optimizers.figures(before, after, started, trace.lm_count(job.run) - calls),
        "program": new,
    }
    if base is not None and len(models) == 1:
        new["lm"] = f"{_NOT_A_NAME.sub('-', name)[:50]}-v{new['version']}"
        answer["profile"] = {"name": new["lm"], "base": base, "model": models[0]}
    else:
        new.update(unportable=_OWN_LM, state=None, lm=None)
        shell.namespace()[name] = trained
    return answer


class _Training(dspy.BootstrapFinetune):
    """BootstrapFinetune that tells how far it is, and ends when its run is cancelled."""

    def __init__(self, run: int | None, **options: Any) -> None:
        super().__init__(**options)
        self.run = run
        self.used = 0

    def finetune_lms(self, finetune_dict: dict[Any, dict[str, Any]]) -> dict[Any, Any]:  # type: ignore[override]
        """Start a job for each LM, wait for all; the trained LMs."""
        for asked in finetune_dict.values():
            self.used += len(asked["train_data"])
        if not self.used:
            raise Refusal(
                "nothing_to_train_on",
                "no answer of the program was good enough to train on",
                hint="lower `metric_threshold`, or take a metric or data that it can get right",
                klass="optimization",
            )
        link.progress(self.run, "phase", name="train", total=self.used)
        jobs: dict[Any, Any] = {}
        for key, asked in finetune_dict.items():
            lm = asked["lm"]
            lm.kill()  # frees what a server on this machine holds
            jobs[key] = lm.finetune(
                asked["train_data"], asked["train_data_format"], asked["train_kwargs"]
            )
        return {key: _full(_wait(job, self.run), key[0]) for key, job in jobs.items()}


def _wait(job: Any, run: int | None) -> Any:
    """The LM of a training that may take hours; the run's cancel ends it at the provider too."""
    while True:
        try:
            result = job.result(timeout=0.2)
            break
        except concurrent.futures.TimeoutError:
            if run is not None and _dspex.is_cancelled(run):
                if type(job).cancel is not TrainingJob.cancel:
                    with contextlib.suppress(Exception):
                        job.cancel()
                raise _dspex.RunCancelled("the run was cancelled") from None
            if not job.done() and not job.thread.is_alive():
                result = RuntimeError("it ended without an answer")
                break
    if isinstance(result, Exception):
        raise Refusal(
            "training_failed",
            f"the provider did not train `{job.model}`: {first_line(result)}",
            hint="the program is as it was; the provider's own pages tell more of the job",
            klass="lm",
            strategy="retry",
        ) from result
    return result


def _full(trained: Any, base: Any) -> Any:
    """The trained LM under `provider/model`: OpenAI names the model alone."""
    provider = str(base.model).partition("/")[0]
    return trained if "/" in trained.model else trained.copy(model=f"{provider}/{trained.model}")


def _good(metric: Any, threshold: float | None) -> Callable[..., bool]:
    """What is trained on: full marks, unless a lower score was said to do."""
    least = 1.0 if threshold is None else float(threshold)

    def good(example: Any, prediction: Any, history: Any = None) -> bool:
        return metrics.score_of(metric(example, prediction, history)) >= least

    return good


def _student(program: Any, lm: Any) -> Any:
    """A copy whose predictors all have an LM: their own, else the request's."""
    if not program.named_predictors():
        raise Refusal(
            "cannot_finetune",
            "this program has no predictor, so there is nothing to train",
            hint="train one that calls an LM, such as Predict or ChainOfThought",
            klass="optimization",
        )
    student = program.deepcopy()
    for copied, own in zip(student.predictors(), program.predictors(), strict=True):
        copied.lm = own.lm or lm
    return student


def _lms(program: Any) -> list[Any]:
    return list({id(p.lm): p.lm for p in program.predictors()}.values())


def _profile(program: Any, job: Job) -> str | None:
    """The one LM profile that all of it is asked with; `None` for objects of the notebook."""
    chosen = str(job.lm["profile"]) if job.lm else None
    found = {lms.profile_of(p.lm) if p.lm else chosen for p in program.predictors()}
    return next(iter(found)) if len(found) == 1 else None


def _require_training(lm: Any, profile: str | None) -> None:
    """Refuse an LM that nobody trains, with what to do instead."""
    model = str(getattr(lm, "model", "") or type(lm).__name__)
    named = f"the LM profile `{profile}` ({model})" if profile else f"the LM `{model}`"
    provider = getattr(lm, "provider", None)
    if provider is None or not provider.finetunable:
        raise Refusal(
            "cannot_finetune",
            f"{named} cannot be fine-tuned: its provider offers no training",
            hint="take a model that OpenAI trains, such as `gpt-4.1-mini-2025-04-14`, or in a cell "
            "an LM with a `provider=` that trains; `optimize` improves the prompt with any LM",
            klass="lm",
            model=model,
        )
    base = str(getattr(lm, "kwargs", {}).get("api_base") or "")
    host = urlsplit(base).hostname or ""
    if type(provider) is OpenAIProvider and base and not f".{host}".endswith(".openai.com"):
        raise Refusal(
            "cannot_finetune",
            f"{named} cannot be fine-tuned: DSPy would send the examples to OpenAI, not to {host}",
            hint="say who trains it: in a cell, an LM with a `provider=`, such as "
            "`dspy.clients.lm_local.LocalProvider()`",
            klass="lm",
            model=model,
        )


def _require_free(name: str) -> None:
    """Refuse to put the trained program in the place of something else of the notebook."""
    there = shell.namespace().get(name)
    if there is not None and not isinstance(there, dspy.Module):
        raise Refusal(
            "name_taken",
            f"the notebook has a {type(there).__name__} called `{name}`, where it would be kept",
            hint="rename one of them",
        )
