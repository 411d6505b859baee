"""DSPy's modules by name: which there are, and how one is made from JSON."""

from __future__ import annotations

import importlib.util
import inspect
import math
import shutil
import warnings
from typing import Any

import dspy

from . import metrics, serialize
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
LM_OPTIONS = (
    "cache",
    "frequency_penalty",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "n",
    "presence_penalty",
    "reasoning_effort",
    "rollout_id",
    "seed",
    "stop",
    "temperature",
    "top_k",
    "top_p",
)
_SANDBOXED = ("ProgramOfThought", "CodeAct", "RLM", "Flex")
_TOOLED = ("ReAct", "ReActV2", "CodeAct")


def find(name: str) -> type:
    """The module class of a name; refused with near matches where there is none (R11, R12)."""
    plain = name.strip().removeprefix("dspy.")
    value = getattr(dspy, plain, None) or shell.namespace().get(plain)
    if isinstance(value, type) and (plain in STANDARD or issubclass(value, dspy.Module)):
        return value
    raise unknown("module", name, _names())


def listing() -> list[dict[str, Any]]:
    """All modules with their options (R10)."""
    return [_entry(name, getattr(dspy, name, None)) for name in STANDARD]


def make(
    name: str, signature: Any, options: dict[str, Any], record: list[Any] | None = None
) -> Any:
    """A module object; `record` collects the attempts of BestOfN and Refine."""
    cls = find(name)
    plain = name.strip().removeprefix("dspy.")
    options = dict(options)
    if plain in ("BestOfN", "Refine"):
        _need_signature(plain, signature)
        return _rewarded(cls, signature, options, record)
    if plain in ("MultiChainComparison", "Parallel"):
        _need_signature(plain, signature)
        return _many(plain, signature, options, record)
    if "tools" in options or plain in _TOOLED:
        options["tools"] = [_tool(tool) for tool in options.get("tools") or []]
    if plain not in STANDARD:
        return _construct(
            cls, [signature] if signature is not None and _takes_arguments(cls) else [], options
        )
    if plain == "KNN":
        raise Refusal(
            "needs_python", "KNN takes a training set and an embedder", hint="make it in a cell"
        )
    missing = _unavailable(plain)
    if missing:
        raise Refusal("module_unavailable", f"{plain} cannot be used here: {missing}")
    _need_signature(plain, signature)
    if plain in ("Predict", "ChainOfThought"):
        check_lm_options(plain, options)
    else:
        _check_options(plain, cls, options)
    return _construct(cls, [signature], options)


def _rewarded(cls: type, signature: Any, options: dict[str, Any], record: list[Any] | None) -> Any:
    inner = make(
        str(options.pop("module", "ChainOfThought")), signature, options.pop("module_options", {})
    )
    metric_name = options.pop("metric", None) or options.pop("reward", None)
    reward = _reward(metric_name, signature, record)
    count = options.pop("N", options.pop("n", 3))
    # Without a metric there is nothing that one attempt could reach: all of them are made.
    threshold = options.pop("threshold", 1.0 if metric_name is not None else math.inf)
    allowed = {"fail_count"}
    _refuse_unknown(
        cls.__name__, options, allowed | {"N", "threshold", "module", "metric"}, allowed
    )
    count = _whole(count, "N")
    if not isinstance(threshold, (int, float)) or isinstance(threshold, bool):
        raise Refusal("invalid_option", f"threshold must be a number, not {threshold!r}")
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
            record.append({**serialize.result(pred), "reward": score})
        return score

    return reward_fn


class Compared(dspy.Module):
    """MultiChainComparison from JSON: it needs chains to compare, so they are run first."""

    def __init__(
        self, signature: Any, inner: Any, count: int, temperature: float, record: list[Any] | None
    ) -> None:
        super().__init__()
        self.signature = signature
        self.chain = inner
        self.compare = dspy.MultiChainComparison(signature, M=count, temperature=temperature)
        self.recorded = _Record(record)

    def forward(self, **inputs: Any) -> Any:
        """Run the chains, then compare them."""
        chains = [
            self.chain(**inputs, config={"rollout_id": index + 1, "temperature": 1.0})
            for index in range(self.compare.M)
        ]
        for chain in chains:
            self.recorded.add(serialize.result(chain))
        return self.compare(chains, **inputs)


class Spread(dspy.Module):
    """Parallel from JSON: one module over many inputs at once."""

    def __init__(self, inner: Any, threads: int) -> None:
        super().__init__()
        self.each = inner
        self.threads = threads

    def forward(self, examples: Any = None) -> dict[str, Any]:
        """Run it on each of `examples`; `null` where one failed."""
        if not isinstance(examples, list) or not examples:
            raise Refusal(
                "missing_input", "Parallel needs `examples`", hint='inputs: {"examples": [{…}, …]}'
            )
        for index, row in enumerate(examples):
            if not isinstance(row, dict):
                raise Refusal("invalid_input", f"example {index} is not an object of inputs")
        pairs = [(self.each, dspy.Example(**row).with_inputs(*row)) for row in examples]
        runner = dspy.Parallel(num_threads=self.threads, disable_progress_bar=True)
        done = runner(pairs)
        return {"results": [None if one is None else serialize.result(one) for one in done]}


class _Record:
    """Where attempts are noted; copies of a module note to the same place."""

    def __init__(self, rows: list[Any] | None) -> None:
        self.rows = rows

    def add(self, row: dict[str, Any]) -> None:
        """Note one attempt."""
        if self.rows is not None:
            self.rows.append(row)

    def __deepcopy__(self, memo: Any) -> _Record:
        return self


def _many(name: str, signature: Any, options: dict[str, Any], record: list[Any] | None) -> Any:
    inner = make(str(options.pop("module", "ChainOfThought")), signature, {})
    if name == "Parallel":
        threads = _whole(options.pop("num_threads", 4), "num_threads")
        _refuse_unknown(name, options, {"num_threads", "module"}, set())
        return Spread(inner, threads)
    count = _whole(options.pop("M", 3), "M")
    temperature = options.pop("temperature", 0.7)
    _refuse_unknown(name, options, {"M", "temperature", "module"}, set())
    return Compared(signature, inner, count, temperature, record)


def _whole(value: Any, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 64:
        return value
    raise Refusal("invalid_option", f"{name} must be a whole number from 1 to 64, not {value!r}")


def _need_signature(name: str, signature: Any) -> None:
    if signature is None:
        raise Refusal(
            "missing_signature", f"{name} needs a signature, such as `question -> answer`"
        )
    if not signature.output_fields:
        raise Refusal(
            "invalid_signature",
            f"{name} needs an output field",
            hint="write what is asked for after `->`, as in `question -> answer`",
        )


def _unavailable(name: str) -> str:
    """What a module needs that is not installed; empty if nothing."""
    if name in _SANDBOXED and not (_installed("deno") or shutil.which("deno")):
        return "it runs code in deno; install it with `%pip install deno`"
    if name == "KNN" and not _installed("numpy"):
        return "it needs numpy; install it with `%pip install numpy`"
    return ""


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


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


def check_lm_options(what: str, options: dict[str, Any]) -> None:
    """Refuse what looks like a misspelt LM option; others may be a provider's own."""
    for option in options:
        near = [] if option in LM_OPTIONS else near_matches(option, LM_OPTIONS)
        if near:
            raise Refusal(
                "unknown_option",
                f"{what} has no option `{option}`",
                hint=f"did you mean `{near[0]}`?",
                near=near,
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
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    except (TypeError, ValueError):
        return False
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _names() -> list[str]:
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
    doc = (
        inspect.cleandoc(cls.__doc__ or cls.__init__.__doc__ or "")
        .strip()
        .split("\n\n")[0]
        .replace("\n", " ")
    )
    reason = _unavailable(name)
    status = (
        "unavailable"
        if reason
        else "deprecated"
        if name in _DEPRECATED
        else "experimental"
        if name in _EXPERIMENTAL
        else "ok"
    )
    return {
        "name": name,
        "status": status,
        "reason": reason or _DEPRECATED.get(name, ""),
        "doc": doc[:300],
        "options": {key: {"default": default} for key, default in _options(cls).items()},
    }


def _options(cls: type) -> dict[str, Any]:
    try:
        # The class itself only says `*args, **kwargs`: DSPy's metaclass hides the rest.
        parameters = inspect.signature(cls.__init__).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        p.name: None if p.default is p.empty else serialize.short(p.default)
        for p in parameters
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and p.name not in ("self", "signature", "callbacks")
    }
