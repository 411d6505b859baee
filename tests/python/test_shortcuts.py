"""Shortcuts: DSPy's answers are the same as without them."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import FIRST_COMPLETED
from pathlib import Path
from typing import Any

PYTHON = Path(__file__).parents[2] / "python"

# Runs with and without the shortcuts, in processes of their own: they change DSPy for good.
SCENE = """
import json, sys, threading
import dspy
from dspy.utils.parallelizer import ParallelExecutor
from dspy.clients.execution import _select_engine, prepare

if sys.argv[1] == "with":
    from dspex_worker import shortcuts
    assert len(shortcuts.install()) == 6, shortcuts.install()

told = {}
shown = []

class Shown(ParallelExecutor):
    def _update_progress(self, bar, done, total):
        shown.append((done, total))

def work(item):
    if item == 5:
        raise ValueError("five")
    if item == 7:
        return None
    return (item, item / 2)

for name, threads, compare in [("many", 4, True), ("one", 1, True), ("plain", 4, False)]:
    shown.clear()
    executor = Shown(num_threads=threads, max_errors=3, compare_results=compare,
                     disable_progress_bar=True, provide_traceback=False)
    told[name] = [executor.execute(work, list(range(12))), executor.failed_indices, shown[-1]]

try:
    ParallelExecutor(num_threads=2, max_errors=1, disable_progress_bar=True).execute(
        lambda item: 1 / 0, list(range(50)))
except Exception as error:
    told["errors"] = str(error)

# One that takes too long is begun once more, and the answer of the second counts.
begun, block = [], threading.Event()
def slow(item):
    begun.append(item)
    if begun.count(item) == 1 and item == 1:
        block.wait(30)
    return item
told["straggler"] = ParallelExecutor(
    num_threads=4, disable_progress_bar=True, timeout=0.2).execute(slow, [0, 1, 2])
told["begun"] = sorted(begun)
block.set()

def chosen(lm, **options):
    call = prepare(lm, None, options.pop("messages"), options)
    try:
        backend, request, provider = _select_engine(lm, call, False)
        return [type(backend).__name__, provider, request is not None]
    except Exception as error:
        return [type(error).__name__]

said = lambda text, role="user": {"role": role, "content": text}
schema = {"type": "object", "properties": {}}
tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
text = [{"type": "text", "text": "x"}]
lms = {model: dspy.LM(model, api_key="k", cache=False)
       for model in ("openai/m", "anthropic/m", "gemini/m", "groq/m", "bedrock/m", "nobody/m")}
told["chosen"] = [
    chosen(lm, **dict(options))
    for _ in range(2)
    for lm in lms.values()
    for options in (
        {"messages": [said("hello")]},
        {"messages": [said("sys", "system"), said("a"), said("b", "assistant"), said("c")]},
        {"messages": [said("")]},
        {"messages": [said("hello")], "temperature": 0.5, "max_tokens": 7},
        {"messages": [said("hello")], "logprobs": True},
        {"messages": [said("hello")], "seed": 3, "n": 2},
        {"messages": [said("hello")], "tools": [tool]},
        {"messages": [said(text)], "response_format": {"type": "json_object"}},
    )
]
print(json.dumps(told))
"""


def told(how: str) -> str:
    """What the scene tells, with the shortcuts or without."""
    done = subprocess.run(
        [sys.executable, "-c", SCENE, how],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(PYTHON), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_dspy_answers_the_same_with_the_shortcuts() -> None:
    """Results, errors, progress, stragglers and the choice of engines."""
    assert told("with") == told("without")


def test_only_what_ended_is_looked_at() -> None:
    """`wait` answers those that ended, and the others as they are."""
    import dspy.utils.parallelizer as parallelizer
    from dspex_worker import shortcuts

    before: Any = (parallelizer.ThreadPoolExecutor, parallelizer.wait)
    # Another test may have put it in place already.
    assert shortcuts._waiting() or parallelizer.ThreadPoolExecutor is shortcuts._Threads
    try:
        with parallelizer.ThreadPoolExecutor(2) as pool:
            futures = {pool.submit(int, str(number)) for number in range(20)}
            left = set(futures)
            while left:
                done, others = parallelizer.wait(left, timeout=5, return_when=FIRST_COMPLETED)
                assert done and all(future.done() for future in done)
                assert others == left - done
                left = set(others)
            assert sorted(future.result() for future in futures) == list(range(20))
            # All have been told of: there is nothing more to come, and it says so in time.
            assert parallelizer.wait(futures, timeout=0, return_when=FIRST_COMPLETED)[0] == set()
    finally:
        parallelizer.ThreadPoolExecutor, parallelizer.wait = before
