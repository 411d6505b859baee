"""Prices from the snapshot that DSPy ships, looked up once for each model.

DSPy searches its whole snapshot twice a call for a model it does not know; the
answers are kept here. An unknown price is unknown, never zero.
"""

from __future__ import annotations

import copy
import threading
from typing import Any

_lock = threading.Lock()
_known: dict[tuple[str, str, Any], dict[str, Any]] = {}
_prices: dict[str, tuple[float, float] | None] = {}


def install() -> bool:
    """Replace DSPy's price lookup by one that remembers."""
    try:
        from dspy.clients import costs, model_metadata

        original = model_metadata.model_info
    except (ImportError, AttributeError):
        return False

    def model_info(provider: str, model: str, *, namespaces: Any = None) -> dict[str, Any]:
        key = (provider, model, tuple(namespaces) if namespaces is not None else None)
        found = _known.get(key)
        if found is None:
            found = original(provider, model, namespaces=namespaces)
            with _lock:
                if len(_known) >= 2048:
                    _known.clear()
                _known[key] = found
        return copy.copy(found)

    model_metadata.model_info = model_info
    costs.model_info = model_info
    return True


def of(model: str | None) -> tuple[float, float] | None:
    """Dollars per token, in and out, of a `provider/model`; `None` if unknown."""
    if not model:
        return None
    if model in _prices:
        return _prices[model]
    provider, _, name = model.partition("/")
    if not name:
        provider, name = "openai", model
    price = None
    try:
        from dspy.clients import model_metadata

        info = model_metadata.model_info(provider, name)
        rates = [
            model_metadata.rate(info, key)
            for key in ("input_cost_per_token", "output_cost_per_token")
        ]
        if rates[0] is not None and rates[1] is not None:
            price = (rates[0], rates[1])
    except Exception:
        price = None
    with _lock:
        if len(_prices) >= 2048:
            _prices.clear()
        _prices[model] = price
    return price
