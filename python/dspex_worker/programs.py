"""Programs as data and back: what a session keeps, any worker can rebuild."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any

import dspy

from . import chain, library, lms, modules, serialize, shipping, signatures, user_modules
from .errors import Refusal, unknown
from .kernel import shell
from .protocol import ProgramDef

_PORTABLE = ("Predict", "ChainOfThought", "ProgramOfThought")
_TOOLED = ("ReAct", "ReActV2", "RLM")
_BUILT_IN_TOOLS = ("finish", "submit")
_MOST_LIVE = 10
_lock = threading.Lock()
_live: OrderedDict[bytes, Any] = OrderedDict()


def define(arguments: dict[str, Any]) -> ProgramDef:
    """The program of a `create_program` request; made once to see that it can be (R14)."""
    names = arguments.get("modules") or ([arguments["module"]] if arguments.get("module") else [])
    if not names:
        raise Refusal("missing_argument", "name a `module`, such as `ChainOfThought`")
    names = [str(name).strip().removeprefix("dspy.") for name in names]
    for name in names:
        modules.find(name)
    raw = arguments.get("signature")
    signature = None if raw is None else signatures.parse(raw, arguments.get("instructions"))
    if signature is not None and len(names) > 1:
        signature = chain.outer(names, signature)
    options = dict(arguments.get("options") or {})
    made: ProgramDef = {
        "name": "",
        "version": 1,
        "modules": names,
        "signature": None if signature is None else signatures.describe(signature),
        "options": options,
        "state": None,
    }
    digest = hashlib.sha256(serialize.dumps(made)).hexdigest()[:8]
    made["name"] = str(arguments.get("name") or f"{names[0].lower()}-{digest}")
    modules.clean_up(build(made))
    return made


def get(program: Any) -> Any:
    """The program object of data or of a name of the notebook; it lives on, with its state,
    until ten others were used after it (R15, R113)."""
    if isinstance(program, str):
        space = shell.namespace()
        found = space.get(program)
        if isinstance(found, dspy.Module):
            return found
        raise unknown(
            "program", program, [k for k, v in space.items() if isinstance(v, dspy.Module)]
        )
    if not isinstance(program, dict):
        raise Refusal("invalid_argument", "a program is a name, or an object with `modules`")
    if program.get("unportable"):
        found = shell.namespace().get(str(program.get("name")))
        if isinstance(found, dspy.Module):
            return with_state(found, program.get("state"))
        raise Refusal(
            "stale_program",
            f"`{program.get('name')}` is not in the kernel: {program['unportable']}",
            hint="run the cell that defines it again",
        )
    if shipping.mentioned(program):
        # Its tools may have been defined anew since it was built.
        return build(program)
    names = program.get("modules") or []
    versions = [user_modules.version(str(name)) for name in names]
    key = serialize.dumps([program, versions])
    with _lock:
        found = _live.get(key)
        if found is not None:
            _live.move_to_end(key)
            return found
    made = build(program)
    with _lock:
        found = _live.setdefault(key, made)
        _live.move_to_end(key)
        gone = [_live.popitem(last=False)[1] for _ in range(len(_live) - _MOST_LIVE)]
    for old in gone:
        modules.clean_up(old)
    return found


def with_state(program: Any, state: Any) -> Any:
    """A copy of a program of the notebook as an optimizer left it; itself without a state."""
    if not state:
        return program
    copied = program.deepcopy()
    copied.load_state(state)
    return copied


def unlearned(program: Any) -> ProgramDef | None:
    """A program as it was before an optimizer changed it; `None` where none did."""
    if not isinstance(program, dict) or not program.get("optimizer") or not program.get("state"):
        return None
    return {**program, "state": None}  # type: ignore[typeddict-item]


def close_all() -> None:
    """Let the live programs give back what they hold, when the worker ends."""
    with _lock:
        gone = list(_live.values())
        _live.clear()
    for old in gone:
        modules.clean_up(old)


def build(program: Any) -> Any:
    """A fresh object of a program's data."""
    names = [modules.short_name(str(name)) for name in program.get("modules") or []]
    if not names:
        raise Refusal("invalid_argument", "the program names no modules")
    raw = program.get("signature")
    signature = None if raw is None else signatures.parse(raw)
    options = program.get("options") or {}
    if len(names) == 1:
        made = modules.make(names[0], signature, _options_of(options, names[0]))
    elif signature is None:
        raise Refusal(
            "missing_signature",
            "a pipeline needs a signature",
            hint="say what it is asked with and answers, as in `question -> answer`",
        )
    else:
        by_name = {name: _options_of(options, name, many=True) for name in names}
        made = chain.Chain(names, signature, by_name)
    state = program.get("state")
    if state:
        made.load_state(serialize.restore(state))
    return with_lm(made, program)


def with_lm(program: Any, definition: Any) -> Any:
    """The program with the LM that is its own, where the notebook must know it.

    A run is given its LM by the workbench, which knows profiles.
    """
    spec = definition.get("lm_spec")
    if spec:
        program.set_lm(lms.make(spec))
    return program


def _options_of(options: dict[str, Any], name: str, many: bool = False) -> dict[str, Any]:
    """Options are by module, or those of the one module there is."""
    own = options.get(name)
    if isinstance(own, dict):
        return own
    return {} if many else {k: v for k, v in options.items() if k not in library.entries()}


def describe(program: Any, name: str, parent: ProgramDef | None = None) -> ProgramDef:
    """A program object as data."""
    kind = type(program).__name__
    if parent is not None:
        return {
            **parent,
            "name": name,
            "state": state_of(program),  # type: ignore[typeddict-item]
        }
    reason = unportable(program)
    signature = None if reason else signature_of(program)
    described: ProgramDef = {
        "name": name,
        "version": 1,
        "modules": [kind],
        "signature": None if signature is None else signatures.describe(signature),
        "options": {},
        "state": None,
    }
    if reason:
        described["unportable"] = reason
        return described
    profiles = [lms.profile_of(predictor.lm) for predictor in program.predictors()]
    if any(profiles):
        described["lm"] = profiles[0]
    options = _options(program)
    if options:
        described["options"] = {kind: options}
    described["state"] = _interesting(program, described)
    return described


def state_of(program: Any) -> Any:
    """DSPy's state without LMs (which may carry addresses and headers)."""
    return serialize.plain(_without_lm(program.dump_state()))


def _without_lm(state: Any) -> Any:
    if isinstance(state, dict):
        return {k: (None if k == "lm" else _without_lm(v)) for k, v in state.items()}
    if isinstance(state, list):
        return [_without_lm(item) for item in state]
    return state


def _interesting(program: Any, described: ProgramDef) -> Any:
    """Nothing for a program that is as it was made: its signature says it all."""
    state = state_of(program)
    if type(program).__name__ in ("Predict", "ChainOfThought"):
        text = serialize.dumps(state)
        return state if b'"demos":[{' in text.replace(b" ", b"") else None
    return None if state_of(build(described)) == state else state


def unportable(program: Any) -> str | None:
    """Why a program cannot be rebuilt from data."""
    return _of_its_class(program) or _of_its_lm(program)


def _of_its_lm(program: Any) -> str | None:
    own = [predictor.lm for predictor in program.predictors() if predictor.lm is not None]
    profiles = {lms.profile_of(lm) for lm in own}
    if not profiles or (len(profiles) == 1 and None not in profiles):
        return None
    return "its LM is an object of the notebook: re-run the cell that makes it"


def _of_its_class(program: Any) -> str | None:
    kind = type(program)
    if kind.__module__.startswith("dspy."):
        if kind.__name__ in _PORTABLE:
            return None
        if kind.__name__ in _TOOLED:
            own = [name for name in getattr(program, "tools", {}) if name not in _BUILT_IN_TOOLS]
            if not own:
                return None
            return f"it calls functions of the notebook ({', '.join(own[:5])}): re-run its cell"
        return f"{kind.__name__} holds functions: re-run the cell that makes it"
    return f"its class {kind.__name__} is defined in a cell or a file: re-run it"


def _options(program: Any) -> dict[str, Any]:
    """Constructor options that differ from DSPy's own."""
    predictor = getattr(program, "predict", program)
    config = getattr(predictor, "config", None)
    if isinstance(config, dict):
        return dict(serialize.plain(config))
    found = {key: getattr(program, key, None) for key in ("max_iters", "max_llm_calls")}
    return {key: value for key, value in found.items() if isinstance(value, int)}


def signature_of(program: Any) -> Any:
    """The signature a program is called with; `None` where only its own code knows."""
    if not type(program).__module__.startswith(("dspy.", f"{__package__}.")):
        return None
    if type(program).__name__ == "ChainOfThought":
        signature = program.predict.signature
        return signature.delete("reasoning") if _added_reasoning(signature) else signature
    found = getattr(program, "signature", None)
    if found is None:
        predictors = program.named_predictors()
        found = predictors[0][1].signature if len(predictors) == 1 else None
    return found


def _added_reasoning(signature: Any) -> bool:
    names = list(signature.output_fields)
    return len(names) > 1 and names[0] == "reasoning"


def summary(program: Any) -> str:
    """One line about a program."""
    signature = signature_of(program)
    if signature is not None:
        return signatures.arrow(signature)
    reward = getattr(program, "module", None)
    if isinstance(reward, dspy.Module):
        return f"{type(program).__name__} of {summary(reward)}"
    return f"{len(program.named_predictors())} predictors"
