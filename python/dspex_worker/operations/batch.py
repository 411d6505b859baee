"""A program over a file of inputs (R132)."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from .. import composed, datasets, lms, programs, serialize
from ..batch.ledger import Ledger
from ..batch.rows import Row, Source
from ..batch.work import Plan, Work
from ..errors import Refusal, near_matches
from .data import threads
from .registry import Job, operation

# Where a call goes and with which key does not change what is asked for.
_NOT_THE_TASK = ("api_key", "api_base", "base_url", "headers", "extra_headers", "timeout")


@operation("run_batch")
def run_batch(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Run a program over the rows of a file; goes on where an earlier one ended."""
    began = time.monotonic()
    program = programs.get(arguments.get("program"))
    signature = programs.signature_of(program)
    if isinstance(program, composed.OWN_INPUTS):
        signature = None
    path = datasets.path_of(str(arguments.get("input") or ""))
    source = Source(path)
    keep = arguments.get("keep") or []
    keep = [keep] if isinstance(keep, str) else [str(name) for name in keep]
    _fit(signature, keep, next(iter(source), None), path)
    wanted = arguments.get("output")
    output = Path(str(wanted)).expanduser() if wanted else path.with_suffix(".out.jsonl")
    if output.resolve() == path.resolve():
        raise Refusal("invalid_argument", "the `output` cannot be the `input`")
    with lms.under(job.lm, disable_history=True) as lm:
        task = {
            "input": source.digest(),
            "program": _digest(_identity(arguments.get("program"))),
            "lm": _digest(_spec(job.lm, lm)),
            "keep": keep,
        }
        ledger = Ledger(output, task, bool(arguments.get("overwrite")))
        try:
            resumed = ledger.done
            plan = Plan(
                program,
                signature,
                keep,
                min(threads(arguments), 64),
                float(arguments.get("rate") or 0),
                arguments.get("max_errors"),
                job.run,
                source.count(),
            )
            work = Work(plan, ledger)
            work.all(iter(source))
            ledger.finish()
        finally:
            ledger.close()
    return {
        "output": str(output),
        "rows": ledger.next,
        "failed": ledger.failed,
        "resumed": resumed,
        "errors": work.first_errors,
        "seconds": round(time.monotonic() - began, 3),
    }


def _fit(signature: Any, keep: list[str], first: Row | None, path: Path) -> None:
    """Refuse a file whose first row lacks what the program is asked with."""
    if first is None:
        raise Refusal("empty_input", f"`{path}` has no rows", path=str(path))
    if first.problem is not None:
        return
    needed = [] if signature is None else list(signature.input_fields)
    for name in [*needed, *keep]:
        if name not in first.fields:
            what = "input" if name in needed else "field to keep"
            raise Refusal(
                "missing_input",
                f"the rows of `{path}` have no {what} `{name}`",
                hint=f"their fields: {', '.join(map(str, first.fields))}",
                near=near_matches(name, map(str, first.fields)),
            )


def _identity(program: Any) -> Any:
    """A program without what may change though it is the same: its version and score."""
    if isinstance(program, dict):
        return {key: program.get(key) for key in ("modules", "signature", "options", "state")}
    return program


def _spec(spec: dict[str, Any] | None, lm: Any) -> Any:
    if spec is None:
        return getattr(lm, "model", None)
    params = {k: v for k, v in (spec.get("params") or {}).items() if k not in _NOT_THE_TASK}
    return [spec.get("model"), params]


def _digest(value: Any) -> str:
    return hashlib.sha256(serialize.dumps(value)).hexdigest()
