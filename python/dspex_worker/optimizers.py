"""Evaluation and optimisation with live progress."""

from __future__ import annotations

import time
from typing import Any

from . import errors, link, metrics, programs, recovery, serialize, trace
from .errors import Refusal, near_matches, one_line

_KNOWN = ("BootstrapFewShot",)
_LATER = (
    "LabeledFewShot",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapFewShotWithOptuna",
    "COPRO",
    "MIPROv2",
    "GEPA",
    "SIMBA",
    "InferRules",
    "KNNFewShot",
    "Ensemble",
    "BetterTogether",
)


def check(name: str) -> None:
    """Refuse an optimizer that is unknown, or not there yet."""
    if name in _KNOWN:
        return
    if name == "BootstrapFinetune":
        raise Refusal(
            "other_operation",
            "BootstrapFinetune trains the LM itself",
            near=["train_model"],
            hint="use `train_model` with the same program and dataset",
        )
    if name in _LATER:
        raise Refusal(
            "optimizer_not_yet",
            f"{name} is not there yet",
            near=_KNOWN,
            hint="use `BootstrapFewShot`, or call this optimizer in a cell",
        )
    near = near_matches(name, [*_KNOWN, *_LATER])
    raise Refusal(
        "unknown_optimizer",
        f"there is no optimizer called `{name}`",
        near=near,
        hint=f"did you mean `{near[0]}`?" if near else f"known: {', '.join(_KNOWN)}",
    )


def evaluate(
    program: Any,
    data: list[Any],
    metric: Any,
    threads: int,
    run: int | None,
    candidate: int = 0,
    offset: int = 0,
) -> dict[str, Any]:
    """Score a program on examples; a row each, in order, told as they come.

    The first example has the index `offset`: these may be a part of more.
    """
    import dspy

    rows: list[dict[str, Any] | None] = [None] * len(data)
    hopeless: list[Exception] = []

    def one(pair: tuple[int, Any]) -> float:
        if hopeless:
            return 0.0
        index, example = pair
        prediction, score, error = None, 0.0, None
        try:
            prediction = program(**example.inputs().toDict())
            score = metrics.score_of(metric(example, prediction, None))
        except Exception as raised:
            if isinstance(raised, Refusal) or errors.is_hopeless(raised):
                hopeless.append(raised)
                return 0.0
            error = one_line(raised)
        fields = {} if prediction is None else serialize.result(prediction)
        rows[index] = {
            "index": offset + index,
            "example": serialize.fields_of(example),
            "prediction": fields,
            "score": score,
            "error": error,
        }
        shown = _shown(example, fields)
        link.progress(
            run,
            "example",
            candidate=candidate,
            index=offset + index,
            score=score,
            prediction=shown,
            error=error,
        )
        return score

    from dspy.utils.parallelizer import ParallelExecutor

    executor = ParallelExecutor(
        num_threads=max(1, min(int(threads), 64)),
        max_errors=len(data) + 1,
        disable_progress_bar=True,
        provide_traceback=False,
    )
    with dspy.context(disable_history=True):
        executor.execute(one, list(enumerate(data)))
    if hopeless:
        raise hopeless[0]
    done = [row for row in rows if row is not None]
    if len(done) < len(data):
        raise Refusal(
            "evaluation_stopped",
            f"only {len(done)} of {len(data)} examples were scored",
            klass="python_runtime",
        )
    score = 100.0 * sum(row["score"] for row in done) / max(1, len(done))
    return {"score": round(score, 2), "results": done}


def _shown(example: Any, fields: dict[str, Any]) -> str:
    labels = [name for name in example.labels().toDict() if name in fields] or list(fields)[-1:]
    return ", ".join(str(serialize.short(fields[name], 80)) for name in labels)


def check_options(options: dict[str, Any]) -> None:
    """Refuse an option that is unknown or no number, before any call is paid for."""
    known = {
        "max_bootstrapped_demos",
        "max_labeled_demos",
        "max_rounds",
        "metric_threshold",
        "max_errors",
    }
    for name in options:
        if name not in known:
            raise Refusal(
                "unknown_option",
                f"BootstrapFewShot has no option `{name}`",
                near=near_matches(name, known),
                hint=f"options: {', '.join(sorted(known))}",
            )
        value = options[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise Refusal("invalid_option", f"`{name}` must be a number, not {value!r}")


def bootstrap(
    program: Any, data: list[Any], metric: Any, run: int | None, options: dict[str, Any]
) -> Any:
    """`BootstrapFewShot` with progress; a compiled copy of the program."""
    import dspy

    check_options(options)
    wanted = int(options.get("max_bootstrapped_demos", 4))
    found = 0

    def watched(example: Any, prediction: Any, history: Any = None) -> Any:
        nonlocal found
        value = metric(example, prediction, history)
        good = metrics.score_of(value)
        threshold = options.get("metric_threshold")
        if (good >= threshold) if threshold is not None else good >= 1.0:
            found += 1
            link.progress(run, "demo", found=min(found, wanted), wanted=wanted)
        # DSPy takes any true value for a success; half a point is none.
        return good if threshold is not None else good >= 1.0

    if not program.named_predictors():
        raise Refusal(
            "cannot_optimize",
            "this program has no predictor, so there is nothing to optimise",
            hint="optimise one that calls an LM, such as Predict or ChainOfThought",
            klass="optimization",
        )
    link.progress(run, "phase", name="bootstrap", total=len(data))
    optimizer = dspy.BootstrapFewShot(metric=watched, **options)
    return optimizer.compile(program, trainset=data)


def optimize(
    program: Any,
    definition: Any,
    train: list[Any],
    held_out: list[Any],
    metric: Any,
    threads: int,
    run: int | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Baseline, bootstrap, evaluation on held-out examples (R16)."""
    started = time.monotonic()
    calls = trace.lm_count(run)
    link.progress(run, "phase", name="baseline", total=len(held_out))
    scored = evaluate(program, held_out, metric, threads, run, 0)
    before, failed = scored["score"], _failed(scored)
    candidate(run, 0, "as it was", program, before, None)
    tried = recovery.attempt(
        lambda: bootstrap(program, train, metric, run, options), "optimize_prompt", run
    )
    compiled, after = tried.value, before
    if compiled is not None:
        link.progress(run, "phase", name="evaluate", total=len(held_out))
        scored = evaluate(compiled, held_out, metric, threads, run, 1)
        after, failed = scored["score"], failed + _failed(scored)
        candidate(run, 1, "BootstrapFewShot", compiled, after, 0)
    performance = {
        "baseline": before,
        "optimized": after,
        "gain": round(after - before, 2),
        "seconds": round(time.monotonic() - started, 3),
        "calls": trace.lm_count(run) - calls,
        "failed": failed,
    }
    if compiled is None:
        return {
            "optimized_prompt": prompts(program),
            "examples_used": 0,
            "performance": performance,
            "program": definition,
            "fallback": tried.fallback,
        }
    return {
        "optimized_prompt": prompts(compiled),
        "examples_used": len(train),
        "performance": performance,
        "program": successor(compiled, definition, "BootstrapFewShot", after),
    }


def figures(before: float, after: float, started: float, calls: int) -> dict[str, Any]:
    """What a compilation that began at `started` came to."""
    return {
        "baseline": before,
        "optimized": after,
        "gain": round(after - before, 2),
        "seconds": round(time.monotonic() - started, 3),
        "calls": calls,
    }


def successor(
    compiled: Any, definition: dict[str, Any], optimizer: str, score: float
) -> dict[str, Any]:
    """A compiled program as the next version of the one it was made from."""
    name = str(definition.get("name") or "program")
    version = int(definition.get("version") or 1)
    parent: Any = definition if definition.get("modules") else None
    new: dict[str, Any] = dict(programs.describe(compiled, name, parent))
    if new.get("unportable"):
        # Its class stays in the notebook; what was learned does not have to.
        new["state"] = programs.state_of(compiled)
    new.update(
        {
            "version": version + 1,
            "parent": f"{name}@{version}",
            "optimizer": optimizer,
            "score": score,
        }
    )
    return new


def _failed(scored: dict[str, Any]) -> int:
    """Examples for which the program or the metric raised."""
    return sum(row["error"] is not None for row in scored["results"])


def candidate(
    run: int | None, number: int, label: str, program: Any, score: float, parent: int | None
) -> None:
    """Tell of a variant of the program and its score."""
    predictors = program.named_predictors()
    first = predictors[0][1] if predictors else None
    facts: dict[str, Any] = {} if parent is None else {"parent": parent}
    link.progress(
        run,
        "candidate",
        candidate=number,
        label=label,
        score=score,
        instructions="" if first is None else first.signature.instructions,
        demos=sum(len(predictor.demos) for _, predictor in predictors),
        **facts,
    )


def prompts(program: Any) -> list[dict[str, Any]]:
    """What each predictor would send now."""
    out: list[dict[str, Any]] = []
    for name, predictor in program.named_predictors():
        out.append(
            {
                "predictor": name,
                "instructions": predictor.signature.instructions,
                "demos": demos(predictor),
                "messages": messages("chat", predictor.signature, predictor.demos, {}),
            }
        )
    return out


def demos(predictor: Any) -> list[dict[str, Any]]:
    """A predictor's demos as objects; `augmented` marks bootstrapped ones."""
    out: list[dict[str, Any]] = []
    for demo in predictor.demos:
        fields = dict(demo) if isinstance(demo, dict) else demo.toDict()
        augmented = bool(fields.pop("augmented", False))
        out.append({**serialize.plain(fields), "augmented": augmented})
    return out


def messages(adapter: str, signature: Any, shots: list[Any], inputs: dict[str, Any]) -> list[Any]:
    """The messages DSPy's adapter makes; missing inputs are shown as `{name}`."""
    import dspy

    kinds = {"chat": dspy.ChatAdapter, "json": dspy.JSONAdapter, "xml": dspy.XMLAdapter}
    if adapter not in kinds:
        raise errors.unknown("adapter", adapter, kinds)
    filled = {name: inputs.get(name, f"{{{name}}}") for name in signature.input_fields}
    made = kinds[adapter]().format(signature, demos=list(shots), inputs=filled)
    return [
        {"role": message["role"], "content": serialize.plain(message["content"])}
        for message in made
    ]
