"""Modules that DSPy makes of functions and objects, made of JSON instead.

BestOfN and Refine need a reward function, MultiChainComparison and majority need
answers to compare, Parallel needs pairs. What searches is `retrieval`'s.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import dspy
from dspy import evaluate

from . import library, metrics, recording, retrieval, serialize
from .errors import Refusal, first_line, unknown

Inner = Callable[[str, Any, dict[str, Any]], Any]


def rewarded(name: str, signature: Any, options: dict[str, Any], inner: Inner) -> Any:
    """BestOfN or Refine over a module, with a metric for its reward."""
    given = library.with_defaults(name, options)
    metric = given["metric"]
    threshold = given["threshold"]
    if threshold is None:
        # Without a metric there is nothing that one attempt could reach: all of them are made.
        threshold = 1.0 if metric is not None else math.inf
    more = {} if given["fail_count"] is None else {"fail_count": given["fail_count"]}
    return getattr(dspy, name)(
        module=inner(given["module"], signature, given["module_options"]),
        N=given["N"],
        reward_fn=_reward(metric, signature),
        threshold=float(threshold),
        **more,
    )


def _reward(metric: Any, signature: Any) -> Callable[[dict[str, Any], Any], float]:
    chosen = None if metric is None else metrics.find(metric)
    outputs = [] if signature is None else list(signature.output_fields)

    def reward_fn(args: dict[str, Any], pred: Any) -> float:
        """Score one attempt: the metric named, else the share of outputs that are not empty."""
        if chosen is not None:
            example = dspy.Example(**args).with_inputs(*args)
            score = metrics.score_of(chosen(example, pred, None))
        else:
            filled = [bool(str(pred.get(name) or "").strip()) for name in outputs]
            score = sum(filled) / len(filled) if filled else 0.0
        recording.attempt(pred, score)
        return score

    return reward_fn


class Compared(dspy.Module):
    """MultiChainComparison from JSON: it needs chains to compare, so they are run first."""

    shown_as = "MultiChainComparison"

    def __init__(self, signature: Any, inner: Any, count: int, temperature: float) -> None:
        super().__init__()
        self.signature = signature
        self.chain = inner
        self.compare = dspy.MultiChainComparison(signature, M=count, temperature=temperature)

    def forward(self, **inputs: Any) -> Any:
        """Run the chains, then compare them."""
        return self.compare(_answers(self.chain, self.compare.M, inputs), **inputs)


class Voted(dspy.Module):
    """`dspy.majority` over several answers of one module."""

    shown_as = "majority"

    def __init__(self, signature: Any, inner: Any, count: int, field: str | None) -> None:
        super().__init__()
        outputs = list(signature.output_fields)
        if field is not None and field not in outputs:
            raise unknown("output field", field, outputs)
        self.signature = signature
        self.chain = inner
        self.count = count
        self.field = field or outputs[-1]

    def forward(self, **inputs: Any) -> Any:
        """Run it `count` times; the answer most of them gave, with the votes."""
        from dspy.predict.aggregation import default_normalize

        answers = _answers(self.chain, self.count, inputs)
        chosen = dspy.majority(answers, field=self.field)
        votes = Counter(default_normalize(str(one[self.field])) or "" for one in answers)
        fields = serialize.fields_of(chosen) or {}
        return dspy.Prediction(**fields, votes=dict(votes.most_common()))


def _answers(chain: Any, count: int, inputs: dict[str, Any]) -> list[Any]:
    answers = [
        chain(**inputs, config={"rollout_id": index + 1, "temperature": 1.0})
        for index in range(count)
    ]
    for answer in answers:
        recording.attempt(answer)
    return answers


class Spread(dspy.Module):
    """Parallel from JSON: one module over many inputs at once."""

    shown_as = "Parallel"

    def __init__(self, inner: Any, threads: int, max_errors: int) -> None:
        super().__init__()
        self.each = inner
        self.threads = threads
        self.max_errors = max_errors

    def forward(self, examples: Any = None) -> dict[str, Any]:
        """Run it on each of `examples`; `null` where one failed, with the reason."""
        if isinstance(examples, str):
            # From a command line it is text.
            with contextlib.suppress(ValueError):
                examples = serialize.loads(examples)
        if not isinstance(examples, list) or not examples:
            raise Refusal(
                "missing_input", "Parallel needs `examples`", hint='inputs: {"examples": [{…}, …]}'
            )
        for index, row in enumerate(examples):
            if not isinstance(row, dict):
                raise Refusal("invalid_input", f"example {index} is not an object of inputs")
        failed: dict[int, str] = {}

        def one(index: int, row: dict[str, Any]) -> Any:
            try:
                return self.each(**row)
            except Exception as error:
                failed[index] = first_line(error)
                raise

        pairs = [(one, (index, row)) for index, row in enumerate(examples)]
        runner = dspy.Parallel(
            num_threads=self.threads, max_errors=self.max_errors + 1, disable_progress_bar=True
        )
        done = runner(pairs)
        answer: dict[str, Any] = {
            "results": [None if one is None else serialize.result(one) for one in done]
        }
        if failed:
            answer["errors"] = {str(index): failed[index] for index in sorted(failed)}
        return answer


class Judged(dspy.Module):
    """SemanticF1 or CompleteAndGrounded: the LM's score of a response."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__()
        self.shown_as = name
        self.fields = ["question", "ground_truth", "system_response"]
        if name == "CompleteAndGrounded":
            self.fields.append("retrieved_context")
        self.judge = getattr(evaluate, name)(**options)

    def forward(self, **inputs: Any) -> Any:
        """The score, from 0 to 1."""
        retrieval.need(self.fields, inputs)
        example = dspy.Example(question=inputs["question"], response=inputs["ground_truth"])
        pred = dspy.Prediction(
            response=inputs["system_response"], context=inputs.get("retrieved_context")
        )
        return self.judge(example, pred)


# What these are given is not told by a signature: they check it themselves.
OWN_INPUTS = (Spread, Judged, retrieval.Nearest, *retrieval.RETRIEVERS)
