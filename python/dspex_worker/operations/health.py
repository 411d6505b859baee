"""How the worker and its LM are."""

from __future__ import annotations

import platform
import time
from typing import Any

from .. import lms, pricing, serialize
from .registry import Job, operation


@operation("echo")
def echo(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """The same again."""
    return arguments


@operation("health_check")
def health_check(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """That this worker answers, with versions."""
    import dspy

    return {"status": "ok", "python": platform.python_version(), "dspy": dspy.__version__}


@operation("price")
def price(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Dollars per token of a model; null where unknown."""
    found = pricing.of(str(arguments.get("model") or ""))
    return {"price": None if found is None else list(found)}


@operation("test_lm")
def test_lm(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Ask the LM for one word and time it."""
    with lms.under(job.lm) as lm:
        started = time.perf_counter()
        answer = lm(prompt="Say OK.", cache=False)
        latency = (time.perf_counter() - started) * 1000
    first = answer[0] if isinstance(answer, list) and answer else answer
    if isinstance(first, dict):
        first = first.get("text", "")
    return {"ok": True, "latency_ms": round(latency, 1), "answer": str(serialize.short(first, 500))}
