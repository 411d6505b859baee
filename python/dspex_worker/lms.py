"""`dspy.LM` objects of profiles, and the context a request runs under."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Generator
from typing import Any

from . import errors, serialize

_lock = threading.Lock()
_made: dict[bytes, Any] = {}


def register_demo() -> None:
    """Make `dspy.LM("demo/demo")` known: the workbench's offline stand-in."""
    from dspy import lm15

    os.environ.setdefault("DSPEX_DEMO_KEY", "demo")
    access = lm15.AccessPolicy(
        provider="demo", env_keys=("DSPEX_DEMO_KEY",), base_url="http://demo.dspex.invalid/v1"
    )
    definition = lm15.ProviderDefinition.chat(access, compat=lm15.OpenAIChatCompat())
    supports = lm15.ModelSupport(function_calling=True, response_schema=True)
    lm15.register_provider(definition, supports=supports, metadata_namespaces=())


def make(spec: dict[str, Any]) -> Any:
    """The LM of a profile; equal specs give the same object."""
    import dspy

    key = serialize.dumps(spec)
    with _lock:
        found = _made.get(key)
    if found is not None:
        return found
    model = str(spec.get("model") or "")
    if not model:
        raise errors.Refusal("invalid_argument", "the LM profile names no model")
    params = dict(spec.get("params") or {})
    provider = model.partition("/")[0]
    direct = bool(spec.get("direct"))
    if not direct and "api_key" not in params and not os.environ.get(f"{provider.upper()}_API_KEY"):
        # The real key is put in by the workbench; DSPy only insists that there is one.
        params["api_key"] = "dspex-managed"
    try:
        made = dspy.LM(model, **params)
    except (TypeError, ValueError) as error:
        raise errors.Refusal(
            "invalid_lm", f"`{model}` cannot be used: {errors.first_line(error)}", klass="lm"
        ) from error
    with _lock:
        if len(_made) >= 64:
            _made.clear()
        return _made.setdefault(key, made)


def profile_of(lm: Any) -> str | None:
    """The profile an LM was made of, also where it is a copy; `None` for one of a cell's."""
    import dspy

    if not isinstance(lm, dspy.LM):
        return None
    with _lock:
        known = list(_made.items())
    for key, made in known:
        same = made.model == lm.model and made.kwargs == lm.kwargs
        if made is lm or (same and type(made.provider) is type(lm.provider)):
            return str(serialize.loads(key).get("profile") or "") or None
    return None


def current(spec: dict[str, Any] | None) -> Any:
    """The LM to use: the request's, else the kernel's; refused when there is none (R9)."""
    import dspy

    if spec is not None:
        return make(spec)
    found = dspy.settings.lm
    if found is None:
        raise errors.lm_not_configured()
    return found


@contextlib.contextmanager
def under(spec: dict[str, Any] | None, **settings: Any) -> Generator[Any]:
    """Run a block under `dspy.context` with the request's LM and a trace of its own."""
    import dspy

    lm = current(spec)
    with dspy.context(lm=lm, trace=[], **settings):
        yield lm
