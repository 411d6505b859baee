"""Generated code that goes wrong: written again simpler or smaller, or done without (R103)."""

import re

import pytest

ENDLESS = "while True: pass"
HUGE = "x = [0] * (2 * 1024**3 // 8)"
GOOD = "print('six times seven')\n6 * 7"
LIMITS = {"timeout": 0.5, "memory_mb": 256}


@pytest.fixture(scope="module", autouse=True)
def no_spare_left(worker):
    yield
    from dspex_worker.sandbox.spare import SPARES

    SPARES.drop()


class Writer:
    """An LM that writes bad code until the prompt says what would help."""

    def __init__(self, native, bad, remedy):
        self.bad, self.remedy = bad, remedy
        self.codes, self.prompts = [], []
        native.script = self.answer

    def answer(self, request):
        prompt = "\n".join(str(message["content"]) for message in request["messages"])
        wanted = re.findall(r"`\[\[ ## (\w+) ## \]\]`", prompt.splitlines()[-1])
        values = {"answer": "42", "reasoning": "so", "finished": "True"}
        if "generated_code" in wanted:
            code = GOOD if self.remedy in prompt else self.bad
            values |= {
                "generated_code": f"```python\n{code}\n```",
                "finished": str(code == GOOD),
            }
            self.codes.append(code)
        self.prompts.append(prompt)
        return "\n\n".join(
            f"[[ ## {name} ## ]]\n{values.get(name, '')}" for name in [*wanted, "completed"]
        )


def run(call, module, **options):
    more = {"tools": []} if module == "CodeAct" else {}
    spec = {
        "module": module,
        "signature": "question -> answer",
        "options": {"max_iters": 2, **LIMITS, **more, **options},
        "inputs": {"question": "What is 6*7?"},
    }
    return call("execute_module", spec)["result"]


both = pytest.mark.parametrize("module", ["ProgramOfThought", "CodeAct"])


@both
@pytest.mark.parametrize(
    ("bad", "remedy", "said"),
    [
        (ENDLESS, "write simpler code", "stopped after 0.5 s"),
        (HUGE, "hold less data", "more than 256 MB"),
    ],
    ids=["timeout", "memory"],
)
def test_the_lm_is_told_what_would_help(call, native, module, bad, remedy, said):
    """R103: out of time, it writes simpler code; out of memory, it needs less; both are said."""
    writer = Writer(native, bad, remedy)
    result = run(call, module)
    assert writer.codes == [bad, GOOD]
    assert result["answer"] == "42" and "42" in writer.prompts[-1]
    (note,) = result["notes"]
    assert note.startswith("tried again: ") and said in note and remedy in note


@both
def test_code_that_never_gets_better_is_done_without(call, native, module):
    """R103: after the last try the answer comes, and each failed try is known."""
    result = run(call, module) if Writer(native, ENDLESS, "(no such words)") else None
    assert result["answer"] == "42"
    assert any("stopped after 0.5 s" in note for note in result["notes"])
    assert result["notes"][-1].startswith("answered without execution: ")


@both
def test_where_nothing_runs_the_answer_comes_without_execution(call, native, module, monkeypatch):
    """R103: no sandbox, no code: the module answers by generation alone and says so."""
    from dspex_worker.sandbox import deno, spare

    def gone(*_):
        raise deno.Unavailable("deno is gone")

    monkeypatch.setattr(spare.SPARES, "take", gone)
    writer = Writer(native, GOOD, "(no such words)")
    result = run(call, module)
    assert result["answer"] == "42" and len(writer.codes) == 1
    assert result["notes"] == ["answered without execution: no code can be run: deno is gone"]
    assert "deno is gone" in writer.prompts[-1]
