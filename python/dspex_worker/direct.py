"""LM calls that pass no door: their answer is told to the workbench when it is there.

Such are those of LM classes of one's own, of SDKs with a client of their own, and of
models in this process. They cannot be cached, replayed, limited or watched; they are
counted and shown like all others, marked as direct.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import _dspex

from . import pricing, scope, serialize

if TYPE_CHECKING:
    from .trace import Call

# How far back an LM's own history is searched for the answer's usage.
RECENT = 64


def tell(span: str, call: Call, instance: Any, asked: Any, result: Any) -> None:
    """Record the call of this span, unless DSPy's own cache answered it."""
    args, kwargs = asked
    entry = _entry(instance, result)
    usage = entry.get("usage") or {}
    if not usage and _is_stock(instance):
        return
    more = dict(kwargs)
    prompt = args[0] if args else more.pop("prompt", None)
    messages = more.pop("messages", None)
    if not messages:
        messages = [{"role": "user", "content": prompt}]
    outputs = result if isinstance(result, list) else [result]
    body = {
        "model": call.model,
        "request": {"model": call.model, "messages": messages, **more},
        "response": {"choices": [_choice(output) for output in outputs], "usage": usage},
        "latency_us": int((time.perf_counter() - call.began) * 1e6),
        "cost": entry.get("cost"),
    }
    run = scope.run()
    _dspex.lm_told(
        span,
        call.parent,
        run,
        scope.cell_of(run),
        serialize.dumps(body),
        call.rollout_id,
        pricing.of(call.model),
    )


def _is_stock(instance: Any) -> bool:
    import dspy

    return isinstance(instance, dspy.LM)


def _entry(instance: Any, result: Any) -> dict[str, Any]:
    """What the LM's history says of this answer."""
    history: list[dict[str, Any]] = (getattr(instance, "history", None) or [])[-RECENT:]
    return next((it for it in reversed(history) if it.get("outputs") is result), {})


def _choice(output: Any) -> dict[str, Any]:
    said = output if isinstance(output, dict) else {"text": output}
    message: dict[str, Any] = {"role": "assistant", "content": said.get("text")}
    if said.get("tool_calls"):
        message["tool_calls"] = said["tool_calls"]
    if said.get("reasoning_content"):
        message["reasoning_content"] = said["reasoning_content"]
    return {"message": message}
