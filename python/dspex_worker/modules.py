"""DSPy's modules by name: which there are, and how one is made from JSON."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from . import metrics
from .errors import Refusal, near_matches, unknown
from .kernel import shell

STANDARD = (
    "Predict",
    "ChainOfThought",
    "ReAct",
    "ReActV2",
    "ProgramOfThought",
    "CodeAct",
    "RLM",
    "Refine",
    "BestOfN",
    "MultiChainComparison",
    "Parallel",
    "Flex",
    "KNN",
)
WRAPPERS = ("BestOfN", "Refine", "MultiChainComparison", "Parallel")
_DEPRECATED = {
    "ProgramOfThought": "deprecated, leaves DSPy in 3.5; use RLM",
    "CodeAct": "deprecated, leaves DSPy in 3.5; use RLM",
}
_EXPERIMENTAL = {"ReActV2", "RLM", "Flex"}
_TOOLED = ("ReAct", "ReActV2", "CodeAct")


def find(name: str) -> type:
    """The module class of a name; refused with near matches where there is none (R11, R12)."""
    import dspy

    plain = name.strip().removeprefix("dspy.")
    value = getattr(dspy, plain, None) or shell.namespace().get(plain)
    if isinstance(value, type) and (plain == "Parallel" or issubclass(value, dspy.Module)):
        return value
    raise unknown("module", name, _names())


def listing() -> list[dict[str, Any]]:
    """All modules with their options (R10)."""
    import dspy

    return [_entry(name, getattr(dspy, name, None)) for name in STANDARD]


def make(
    name: str, signature: Any, options: dict[str, Any], record: list[Any] | None = None
) -> Any:
    """A module object; `record` collects the attempts of BestOfN and Refine."""
    cls = find(name)
    plain = name.strip().removeprefix("dspy.")
    options = dict(options)
    if plain in ("BestOfN", "Refine"):
        return _rewarded(cls, signature, options, record)
    if plain in ("MultiChainComparison", "Parallel"):
        return _Many(plain, cls, signature, options, record)
    if "tools" in options or plain in _TOOLED:
        options["tools"] = [_tool(tool) for tool in options.get("tools") or []]
    if plain not in STANDARD:
        return _construct(
            cls, [signature] if signature is not None and _takes_arguments(cls) else [], options
        )
    if signature is None:
        raise Refusal(
            "missing_signature", f"{plain} needs a signature, such as `question -> answer`"
        )
    if plain not in ("Predict", "ChainOfThought"):
        _check_options(plain, cls, options)
    return _construct(cls, [signature], options)


def _rewarded(cls: type, signature: Any, options: dict[str, Any], record: list[Any] | None) -> Any:
    inner = make(
        str(options.pop("module", "ChainOfThought")), signature, options.pop("module_options", {})
    )
    metric_name = options.pop("metric", None) or options.pop("reward", None)
    reward = _reward(metric_name, signature, record)
    count = options.pop("N", options.pop("n", 3))
    threshold = options.pop("threshold", 1.0)
    allowed = {"fail_count"}
    _refuse_unknown(
        cls.__name__, options, allowed | {"N", "threshold", "module", "metric"}, allowed
    )
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 64:
        raise Refusal("invalid_option", f"N must be a whole number from 1 to 64, not {count!r}")
    return _construct(
        cls,
        [],
        {
            "module": inner,
            "N": count,
            "reward_fn": reward,
            "threshold": float(threshold),
            **options,
        },
    )


def _reward(metric: Any, signature: Any, record: list[Any] | None) -> Any:
    import dspy

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
        if record is not None:
            from . import serialize

            record.append({**serialize.result(pred), "reward": score})
        return score

    return reward_fn


class _Many:
    """MultiChainComparison and Parallel from JSON: they need runs of another module first."""

    def __init__(
        self,
        name: str,
        cls: type,
        signature: Any,
        options: dict[str, Any],
        record: list[Any] | None,
    ) -> None:
        self.name = name
        self.cls = cls
        self.signature = signature
        self.record = record
        self.count = options.pop("M", 3)
        self.threads = options.pop("num_threads", 4)
        self.inner = make(str(options.pop("module", "ChainOfThought")), signature, {})
        _refuse_unknown(name, options, {"M", "num_threads", "module"}, set())
        if not isinstance(self.count, int) or not 1 <= self.count <= 64:
            raise Refusal(
                "invalid_option", f"M must be a whole number from 1 to 64, not {self.count!r}"
            )

    def named_predictors(self) -> list[tuple[str, Any]]:
        """The predictors of the module that is run."""
        return self.inner.named_predictors()

    def dump_state(self) -> Any:
        """The state of the module that is run."""
        return self.inner.dump_state()

    def load_state(self, state: Any) -> None:
        """Give the module that is run its state."""
        self.inner.load_state(state)

    def __call__(self, **inputs: Any) -> Any:
        """Run it."""
        return self._parallel(inputs) if self.name == "Parallel" else self._compare(inputs)

    def _compare(self, inputs: dict[str, Any]) -> Any:
        from . import serialize

        chains = [
            self.inner(**inputs, config={"rollout_id": index + 1, "temperature": 1.0})
            for index in range(self.count)
        ]
        if self.record is not None:
            self.record.extend(serialize.result(chain) for chain in chains)
        return self.cls(self.signature, M=self.count)(chains, **inputs)

    def _parallel(self, inputs: dict[str, Any]) -> Any:
        import dspy

        from . import serialize

        rows = inputs.get("examples")
        if not isinstance(rows, list) or not rows:
            raise Refusal("missing_input", 'Parallel takes `{"examples": [{…}, …]}` as inputs')
        pairs = [(self.inner, dspy.Example(**row).with_inputs(*row)) for row in rows]
        runner = self.cls(num_threads=self.threads, disable_progress_bar=True)
        done = runner(pairs)
        return {"results": [None if one is None else serialize.result(one) for one in done]}


def _construct(cls: type, positional: list[Any], options: dict[str, Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return cls(*positional, **options)
    except (TypeError, ValueError) as error:
        raise Refusal("invalid_option", f"{cls.__name__}: {str(error).splitlines()[0]}") from error


def _tool(tool: Any) -> Any:
    if callable(tool):
        return tool
    space = shell.namespace()
    found = space.get(str(tool))
    if callable(found):
        return found
    raise unknown(
        "tool", str(tool), [k for k, v in space.items() if callable(v) and not k.startswith("_")]
    )


def _check_options(name: str, cls: type, options: dict[str, Any]) -> None:
    known = set(_options(cls))
    _refuse_unknown(name, options, known, known)


def _refuse_unknown(name: str, options: dict[str, Any], shown: set[str], allowed: set[str]) -> None:
    for option in options:
        if option not in allowed:
            near = near_matches(option, shown)
            hint = f"options: {', '.join(sorted(shown))}" if shown else ""
            raise Refusal(
                "unknown_option", f"{name} has no option `{option}`", hint=hint, near=near
            )


def _takes_arguments(cls: type) -> bool:
    try:
        parameters = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError):
        return False
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _names() -> list[str]:
    import dspy

    own = [
        key
        for key, value in shell.namespace().items()
        if isinstance(value, type) and issubclass(value, dspy.Module)
    ]
    return [*STANDARD, *own]


def _entry(name: str, cls: Any) -> dict[str, Any]:
    if cls is None:
        return {
            "name": name,
            "status": "unavailable",
            "reason": "this DSPy does not have it",
            "doc": "",
            "options": {},
        }
    doc = (inspect.getdoc(cls) or "").strip().split("\n\n")[0].replace("\n", " ")
    status = (
        "deprecated" if name in _DEPRECATED else "experimental" if name in _EXPERIMENTAL else "ok"
    )
    return {
        "name": name,
        "status": status,
        "reason": _DEPRECATED.get(name, ""),
        "doc": doc[:300],
        "options": {key: {"default": default} for key, default in _options(cls).items()},
    }


def _options(cls: type) -> dict[str, Any]:
    from . import serialize

    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        p.name: None if p.default is p.empty else serialize.short(p.default)
        for p in parameters
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and p.name not in ("self", "signature", "callbacks")
    }
