"""Which interpreter a module gets, from the options of a request.

`interpreter` is `sandbox` (the default), `local` (unsafe: this machine's own
Python, on explicit request only), or the name of a factory in the notebook.
"""

from __future__ import annotations

from typing import Any

from .. import recording
from ..errors import Refusal, near_matches
from . import deno
from .interpreter import Sandbox
from .limits import OPTIONS, Limits, default
from .local import Local
from .spare import SPARES

NAMES = ("sandbox", "local")


class Factory:
    """Makes interpreters of one kind; what DSPy's modules call."""

    def __init__(self, kind: str, limits: Limits, custom: Any = None) -> None:
        self.kind = kind
        self.limits = limits
        self.custom = custom
        made_from = {"sandbox": Sandbox, "local": Local}.get(kind, custom)
        # RLM puts these words into its prompt.
        self.execution_instructions = str(getattr(made_from, "execution_instructions", ""))

    def __call__(self) -> Any:
        if self.kind == "sandbox":
            return Sandbox(limits=self.limits)
        if self.kind == "local":
            return Local(limits=self.limits)
        recording.note(f"code runs in `{self.kind}`, which has only the limits it sets itself")
        return self.custom()

    def __deepcopy__(self, memo: Any) -> Factory:
        return self


def take(options: dict[str, Any], namespace: dict[str, Any]) -> Factory:
    """The factory that options ask for; they are taken out."""
    limits = default().with_options({name: options.pop(name, None) for name in OPTIONS})
    kind = options.pop("interpreter", None) or "sandbox"
    if kind in NAMES:
        return Factory(kind, limits)
    custom = namespace.get(kind) if isinstance(kind, str) else kind
    if callable(custom):
        return Factory(str(kind), limits, custom)
    known = [*NAMES, *(name for name, value in namespace.items() if _makes_interpreters(value))]
    raise Refusal(
        "unknown_interpreter",
        f"there is no interpreter called `{kind}`",
        hint="use `sandbox`, `local` (unsafe), or a factory defined in a cell",
        near=near_matches(str(kind), known),
    )


def warm_up(factory: Factory) -> None:
    """Start a sandbox while the LM still writes the code."""
    if factory.kind == "sandbox" and deno.is_there():
        SPARES.prepare()


def _makes_interpreters(value: Any) -> bool:
    return isinstance(value, type) and hasattr(value, "execute") and hasattr(value, "shutdown")
