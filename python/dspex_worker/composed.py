"""Modules that DSPy makes of functions and objects, made of JSON instead.

BestOfN and Refine need a reward function, MultiChainComparison and majority need
answers to compare, Parallel needs pairs, KNN and Embeddings need vectors.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import dspy
from dspy import evaluate

from . import datasets, library, metrics, recording, serialize
from .errors import Refusal, first_line, near_matches, unknown
from .kernel import shell

Inner = Callable[[str, Any, dict[str, Any]], Any]
_WIDTH = 1024


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


class Nearest(dspy.Module):
    """KNN: the examples of a dataset that are most like the inputs."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        rows = datasets.examples(options["dataset"])
        self.fields = sorted(rows[0].inputs().keys())
        self.knn = dspy.KNN(options["k"], rows, vectorizer=embedder(options["embedder"]))

    def forward(self, **inputs: Any) -> Any:
        """The nearest examples, best first."""
        _need(self.fields, inputs)
        found = self.knn(**inputs)
        return dspy.Prediction(examples=[dict(example.toDict()) for example in found])


class Passages(dspy.Module):
    """Embeddings, with or without scores: the passages of a corpus that are most like a query."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__()
        texts = _corpus(options["corpus"], options["field"])
        self.search = getattr(dspy, name)(
            corpus=texts,
            embedder=embedder(options["embedder"]),
            k=min(options["k"], len(texts)),
            normalize=options["normalize"],
        )

    def forward(self, **inputs: Any) -> Any:
        """The nearest passages, best first."""
        _need(["query"], inputs)
        found = self.search(str(inputs["query"]))
        fields: dict[str, Any] = {"passages": found.passages}
        fields["indices"] = [int(i) for i in found.indices]
        if "scores" in found:
            fields["scores"] = [float(score) for score in found.scores]
        return dspy.Prediction(**fields)


class Searched(dspy.Module):
    """Retrieve through a ColBERTv2 server (R38)."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        url = options["url"]
        if not url.startswith(("http://", "https://")):
            raise Refusal(
                "invalid_option", f"`{url}` is no address", hint="begin it with http:// or https://"
            )
        self.server = dspy.ColBERTv2(url, options["port"], options["post_requests"])
        self.retrieve = dspy.Retrieve(k=options["k"])

    def forward(self, **inputs: Any) -> Any:
        """The server's passages, best first."""
        _need(["query"], inputs)
        try:
            with dspy.context(rm=self.server):
                found: Any = self.retrieve(str(inputs["query"]))
        except Exception as error:
            raise Refusal(
                "retriever_failed",
                f"the server at {self.server.url} gave no passages: {first_line(error)}",
                klass="python_runtime",
                strategy="retry",
                hint="check the option `url`; `Embeddings` searches a corpus without a server",
            ) from error
        return dspy.Prediction(passages=list(found.passages))


class Judged(dspy.Module):
    """SemanticF1 or CompleteAndGrounded: the LM's score of a response."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__()
        self.fields = ["question", "ground_truth", "system_response"]
        if name == "CompleteAndGrounded":
            self.fields.append("retrieved_context")
        self.judge = getattr(evaluate, name)(**options)

    def forward(self, **inputs: Any) -> Any:
        """The score, from 0 to 1."""
        _need(self.fields, inputs)
        example = dspy.Example(question=inputs["question"], response=inputs["ground_truth"])
        pred = dspy.Prediction(
            response=inputs["system_response"], context=inputs.get("retrieved_context")
        )
        return self.judge(example, pred)


# What these are given is not told by a signature: they check it themselves.
OWN_INPUTS = (Spread, Nearest, Passages, Searched, Judged)


def embedder(chosen: Any) -> Any:
    """An embedder of a name, a function or a model string."""
    if callable(chosen):
        return dspy.Embedder(chosen, caching=False)
    if chosen == "words":
        return dspy.Embedder(words, caching=False)
    found = shell.namespace().get(str(chosen))
    if callable(found):
        return found if isinstance(found, dspy.Embedder) else dspy.Embedder(found, caching=False)
    if "/" in str(chosen):
        return dspy.Embedder(str(chosen))
    raise unknown("embedder", str(chosen), ["words"])


def words(texts: list[str]) -> Any:
    """Vectors of words and pairs of words, by hash: offline, and the same everywhere."""
    import numpy

    rows = numpy.zeros((len(texts), _WIDTH), dtype=numpy.float32)
    for row, text in zip(rows, texts, strict=True):
        tokens = "".join(c if c.isalnum() else " " for c in text.lower()).split()
        pairs = [f"{a} {b}" for a, b in itertools.pairwise(tokens)]
        for token in [*tokens, *pairs]:
            row[zlib.crc32(token.encode("utf-8", "replace")) % _WIDTH] += 1.0
        row /= float(numpy.linalg.norm(row)) or 1.0
    return rows


def _corpus(corpus: Any, field: str | None) -> list[str]:
    if isinstance(corpus, list) and corpus and all(isinstance(text, str) for text in corpus):
        return list(corpus)
    rows = [dict(example.toDict()) for example in datasets.examples(corpus)]
    chosen = field or next(iter(rows[0]))
    if chosen not in rows[0]:
        raise unknown("field", chosen, rows[0])
    return [str(row.get(chosen) or "") for row in rows]


def _need(fields: list[str], inputs: dict[str, Any]) -> None:
    listed = ", ".join(f"`{name}`" for name in fields)
    for name in fields:
        if name not in inputs:
            raise Refusal("missing_input", f"missing input: `{name}`", hint=f"inputs: {listed}")
    for name in inputs:
        if name not in fields:
            near = near_matches(name, fields)
            text = f"no input is called `{name}`"
            raise Refusal("unknown_input", text, hint=f"inputs: {listed}", near=near)
