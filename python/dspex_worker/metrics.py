"""Metrics by name: ours, DSPy's, a function of a file, a function of the notebook."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import Refusal, one_line, unknown
from .kernel import shell

Metric = Callable[..., Any]


def find(metric: Any) -> Metric:
    """The metric a request names; `exact_match` where it names none."""
    if metric is None:
        return exact_match
    if callable(metric):
        return metric
    if isinstance(metric, dict):
        return _from_file(metric)
    known = shell.namespace().get(str(metric))
    if callable(known) and not isinstance(known, type):
        return known
    found = _KNOWN.get(str(metric))
    if found is None:
        raise unknown("metric", str(metric), _KNOWN)
    return found


def score_of(value: Any) -> float:
    """A metric's answer as a number."""
    score = getattr(value, "score", value)
    if isinstance(score, bool):
        return 1.0 if score else 0.0
    if isinstance(score, (int, float)):
        return float(score)
    raise Refusal(
        "invalid_metric",
        f"the metric answered {type(value).__name__}, not a number or a bool",
        hint="return a float from 0 to 1, or True/False",
    )


def exact_match(example: Any, prediction: Any, trace: Any = None) -> float:
    """1 if all labels of the example are predicted, up to case and spaces."""
    labels = example.labels().toDict()
    return float(
        bool(labels) and all(_same(value, prediction.get(name)) for name, value in labels.items())
    )


def contains(example: Any, prediction: Any, trace: Any = None) -> float:
    """1 if each label occurs in what was predicted."""
    labels = example.labels().toDict()
    return float(
        bool(labels)
        and all(_normal(value) in _normal(prediction.get(name)) for name, value in labels.items())
    )


def f1(example: Any, prediction: Any, trace: Any = None) -> float:
    """Mean word overlap (F1) of labels and predictions."""
    labels = example.labels().toDict()
    scores = [_overlap(_normal(v), _normal(prediction.get(k))) for k, v in labels.items()]
    return sum(scores) / len(scores) if scores else 0.0


def answer_exact_match(example: Any, prediction: Any, trace: Any = None) -> float:
    """DSPy's own metric on the field `answer`."""
    from dspy.evaluate import answer_exact_match as stock

    return float(stock(example, prediction))


def _judged(name: str) -> Metric:
    """A metric of DSPy's that asks the LM; it reads `question` and `response`."""

    def judged(example: Any, prediction: Any, trace: Any = None) -> Any:
        from dspy import evaluate

        for what, values in (("example", example), ("prediction", prediction)):
            if "response" not in values:
                raise Refusal(
                    "invalid_metric",
                    f"{name} needs a field `response`, and the {what} has none",
                    hint="call the output field `response` in signature and dataset",
                )
        return getattr(evaluate, name)()(example, prediction, trace)

    judged.__name__ = name
    return judged


_KNOWN: dict[str, Metric] = {
    "exact_match": exact_match,
    "contains": contains,
    "f1": f1,
    "answer_exact_match": answer_exact_match,
    "SemanticF1": _judged("SemanticF1"),
    "CompleteAndGrounded": _judged("CompleteAndGrounded"),
}


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, (int, float)) and isinstance(got, (int, float)):
        return float(expected) == float(got)
    return _normal(expected) == _normal(got)


def _normal(value: Any) -> str:
    return " ".join(re.sub(r"[^\w\s.%-]", " ", str(value).lower()).split()).strip(" .")


def _overlap(left: str, right: str) -> float:
    a, b = left.split(), right.split()
    shared = sum((Counter(a) & Counter(b)).values())
    return 0.0 if shared == 0 else 2 * shared / (len(a) + len(b))


def _from_file(spec: dict[str, Any]) -> Metric:
    path, name = Path(str(spec.get("file") or "")), str(spec.get("function") or "metric")
    if not path.is_file():
        raise Refusal("file_not_found", f"there is no file `{path}`", path=str(path))
    module_spec = importlib.util.spec_from_file_location(f"dspex_metric_{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise Refusal("invalid_metric", f"`{path}` is not a Python file", path=str(path))
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise Refusal(
            "invalid_metric", f"`{path}` cannot be loaded: {one_line(error)}", path=str(path)
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        raise unknown("metric", name, [k for k, v in vars(module).items() if callable(v)])
    return found
