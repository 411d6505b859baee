"""Jobs: shipped by the kernel, carried out by a worker of a pool."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from typing import Any

from .. import lms, optimizers, programs, shipping
from ..errors import Refusal
from ..kernel import names, shell
from . import data
from .registry import Job, operation


@operation("ship")
def ship(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """What a job needs of this kernel, pickled."""
    return shipping.pack(arguments.get("arguments"), bool(arguments.get("has_lm")))


@operation("adopt")
def adopt(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Bind a program that a job made to its name in the notebook."""
    import dspy

    program = arguments.get("program")
    if not isinstance(program, dict):
        raise Refusal("invalid_argument", "a program is an object with a `name`")
    name = str(program.get("name"))
    space = shell.get().user_ns
    there = space.get(name)
    if not name.isidentifier() or not (there is None or isinstance(there, dspy.Module)):
        return {"adopted": False}
    if program.get("unportable"):
        space[name] = programs.with_lm(programs.get(program), program)
    else:
        space[name] = programs.build(program)
    names.remember(name, space[name])
    return {"adopted": True}


@operation("evaluate_part")
def evaluate_part(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Score a program on some examples of a set; the others are scored elsewhere."""
    program, examples, metric = data.subject(arguments)
    offset = arguments.get("offset")
    with lms.under(job.lm):
        scored = optimizers.evaluate(
            program,
            examples,
            metric,
            data.threads(arguments),
            job.run,
            offset=offset if isinstance(offset, int) else 0,
        )
    predictors = program.named_predictors()
    first = predictors[0][1] if predictors else None
    about = {
        "instructions": "" if first is None else first.signature.instructions,
        "demos": sum(len(predictor.demos) for _, predictor in predictors),
    }
    return {"results": scored["results"], "about": about}


@operation("clock")
def clock(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """The clock that spans are timed by."""
    return {"ns": time.monotonic_ns()}


@operation("enlist")
def enlist(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Take the limits of a pool's worker: it must die before the workbench or the kernel does."""
    memory = arguments.get("memory_mb")
    if isinstance(memory, int) and memory > 0:
        # It is replaced above `memory_mb` resident; a run that goes far beyond gets MemoryError.
        # Not RLIMIT_AS, which ends the sandbox; and room for the stacks of many threads.
        limit = (memory + 1024) * 1024 * 1024
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    nice = arguments.get("nice")
    if isinstance(nice, int) and nice > 0:
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError, ValueError):
                os.setpriority(os.PRIO_PROCESS, int(thread), nice)
    return {"limited": True}
