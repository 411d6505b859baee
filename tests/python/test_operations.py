"""Operations as the workbench asks for them."""

import json
from pathlib import Path

import pytest

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "signature_cases.jsonl").read_text().splitlines()
]
QA = "question -> answer"


def names(fields):
    return [(f["name"], f["type"]) for f in fields]


def written(fields):
    return [(name, kind.replace("typing.", "")) for name, kind in names(fields)]


@pytest.mark.parametrize("case", CASES, ids=lambda c: repr(c["input"])[:40])
def test_create_signature_gives_dspys_verdict(call, case):
    """R18, R40, R42: all rows made by DSPy agree on ok, names and types.

    The rows say `typing.Optional[str]`; a signature is written `Optional[str]`.
    """
    answer = call("create_signature", {"signature": case["input"]})
    assert answer["ok"] == case["ok"], answer
    if case["ok"]:
        assert names(answer["result"]["inputs"]) == written(case["inputs"])
        assert names(answer["result"]["outputs"]) == written(case["outputs"])


def test_reading_a_signature_imports_nothing(call, capfd):
    assert not call("create_signature", {"signature": "x: this -> y"})["ok"]
    assert "Zen" not in capfd.readouterr().out


def test_half_typed_signature(call):
    """R41: what has no arrow is inputs, and is not complete."""
    result = call("parse_signature", {"signature": "question, ctx: list[str]"})["result"]
    assert names(result["inputs"]) == [("question", "str"), ("ctx", "list[str]")]
    assert result["outputs"] == [] and not result["complete"] and "outputs" in result["note"]


def test_described_signature_can_be_made_again(call):
    """R18: what came of an arrow string is taken as lists of fields."""
    first = call("create_signature", {"signature": "q: list[int] -> label: Literal['a', 'b']"})
    again = call("create_signature", {"signature": first["result"]})
    assert again["result"] == first["result"]


@pytest.mark.parametrize("name", ["Predict", "dspy.Predict"])
def test_execute_module(call, native, name):
    """R11, R25: with and without the prefix."""
    answer = call("execute_module", {"module": name, "signature": QA, "inputs": {"question": "x"}})
    assert answer["result"] == {"answer": "paris"}
    kinds = [s[4] for s in native.spans if s[0] == "start"]
    assert kinds == ["module", "adapter_format", "lm", "adapter_parse"]
    assert native.calls[0][0].startswith("1-1-") and native.calls[0][2] == 1


def test_chain_of_thought(call):
    """R26: the reasoning comes with the answer."""
    inputs = {"question": "x"}
    answer = call("execute_module", {"module": "ChainOfThought", "signature": QA, "inputs": inputs})
    assert list(answer["result"]) == ["reasoning", "answer"]


def test_unknown_module_is_refused_before_any_call(call, native):
    """R12: with near matches, and nothing is paid for."""
    answer = call("execute_module", {"module": "ChainOfTought", "signature": QA, "inputs": {}})
    assert answer["error"]["type"] == "unknown_module"
    assert "ChainOfThought" in answer["error"]["recovery"]["near"] and not native.calls


def test_no_lm(call):
    """R9: in three words, with no traceback."""
    inputs = {"question": "x"}
    answer = call(
        "execute_module", {"module": "Predict", "signature": QA, "inputs": inputs}, lm=False
    )
    assert answer["error"]["type"] == "lm_not_configured"
    assert answer["error"]["message"] == "LM not configured" and not answer["error"]["traceback"]


def test_best_of_n_from_json(call, native):
    """R32: attempts with their rewards; each has a rollout of its own."""
    arguments = {"module": "BestOfN", "signature": QA, "inputs": {"question": "x"}}
    arguments["options"] = {"N": 3, "threshold": 2.0}
    result = call("execute_module", arguments)["result"]
    assert [a["reward"] for a in result["attempts"]] == [1.0, 1.0, 1.0]
    assert len({c[10] for c in native.calls}) == 3


def test_multi_chain_comparison(call):
    """R33: all chains and the rationale of the choice."""
    arguments = {"module": "MultiChainComparison", "signature": QA, "inputs": {"question": "x"}}
    result = call("execute_module", arguments)["result"]
    assert len(result["attempts"]) == 3 and "rationale" in result


def test_program_has_a_stable_name_and_runs(call):
    """R14, R15: the same contents have the same name; two runs of one."""
    arguments = {"modules": ["ChainOfThought", "Predict"], "signature": QA}
    first = call("create_program", arguments)["result"]
    assert first == call("create_program", arguments)["result"]
    inputs = {"question": "x"}
    for _ in range(2):
        answer = call("execute_program", {"program": first, "inputs": inputs})
        assert answer["result"] == {"reasoning": "paris", "answer": "paris"}


def test_validate_inputs(call):
    """R19, R43: everything at once; a bool is not an int."""
    arguments = {"signature": "n: int, xs: list[str], q -> a", "inputs": {"n": True, "xs": [1]}}
    problems = call("validate_inputs", arguments)["result"]["problems"]
    found = [(p["field"], p["problem"]) for p in problems]
    assert found == [("n", "wrong_type"), ("xs", "wrong_type"), ("q", "missing")]


def test_render_prompt(call, native):
    """D4: the prompt shown is the prompt sent."""
    arguments = {"signature": QA, "adapter": "chat", "inputs": {"question": "why?"}}
    messages = call("render_prompt", arguments, lm=False)["result"]["messages"]
    call("execute_module", {"module": "Predict", "signature": QA, "inputs": {"question": "why?"}})
    assert messages == json.loads(native.calls[0][7])["messages"]


def test_modules_listed(call):
    """R10: what cannot be used as ever says so."""
    listed = {m["name"]: m["status"] for m in call("list_dspy_modules", {})["result"]["modules"]}
    assert listed["Predict"] == "ok" and listed["CodeAct"] == "deprecated"


def rows(count):
    return [{"question": f"q{i}", "answer": "paris" if i % 2 else "rome"} for i in range(count)]


def test_datasets(call, tmp_path):
    """R110: rows, JSONL and CSV."""
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows(4)))
    (tmp_path / "a.csv").write_text("question,answer\nq0,rome\n")
    inline = call("load_dataset", {"rows": rows(4)})["result"]
    lines = call("load_dataset", {"path": str(tmp_path / "a.jsonl")})["result"]
    assert inline["hash"] == lines["hash"] and inline["inputs"] == ["question"]
    table = call("load_dataset", {"path": str(tmp_path / "a.csv")})["result"]
    assert table["rows"] == [{"question": "q0", "answer": "rome"}]
    assert call("load_dataset", {"path": "no.csv"})["error"]["type"] == "unknown_file"


def test_evaluate(call, native):
    """R20: a score, and a row for each example in order."""
    program = call("create_program", {"module": "Predict", "signature": QA})["result"]
    arguments = {"program": program, "dataset": rows(6), "num_threads": 2}
    result = call("evaluate_pipeline", arguments)["result"]
    assert result["score"] == 50.0
    assert [r["index"] for r in result["results"]] == list(range(6))
    assert sum(p["step"] == "example" for p in native.progress()) == 6


def test_optimize(call, native):
    """R16, R17: prompt, demos within their bounds, performance."""
    program = call("create_program", {"module": "Predict", "signature": QA})["result"]
    options = {"max_bootstrapped_demos": 2, "max_labeled_demos": 2}
    arguments = {"program": program, "dataset": rows(20), "options": options}
    result = call("optimize_prompt", arguments)["result"]
    assert result["program"]["version"] == 2 and result["examples_used"] == 10
    demos = result["optimized_prompt"][0]["demos"]
    assert 0 < len(demos) <= 2 and any(d["augmented"] for d in demos)
    assert result["performance"]["calls"] == len(native.calls)
    assert {"baseline", "bootstrap", "evaluate"} <= {
        p.get("name") for p in native.progress() if p["step"] == "phase"
    }
    again = call("execute_program", {"program": result["program"], "inputs": {"question": "x"}})
    assert again["result"] == {"answer": "paris"}
    assert len(json.loads(native.calls[-1][7])["messages"]) > 2


def test_unknown_optimizer(call):
    program = {"name": "p", "version": 1, "modules": ["Predict"]}
    answer = call("optimize_prompt", {"program": program, "optimizer": "BootstrapFewShots"})
    assert answer["error"]["recovery"]["near"][0] == "BootstrapFewShot"


def test_lm_is_tested(call):
    assert call("test_lm", {})["result"]["ok"]


@pytest.mark.parametrize("module", ["MultiChainComparison", "majority", "BestOfN"])
def test_modules_of_modules_stand_in_the_trace_by_their_names(call, native, module):
    """R33, R73: not by the names of the classes that make them from JSON."""
    asked = {"module": module, "signature": QA, "inputs": {"question": "?"}}
    assert call("execute_module", asked)["result"]["answer"] == "paris"
    started = [span for span in native.spans if span[0] == "start" and span[4] == "module"]
    assert started[0][5] == module
    assert {span[5] for span in started} <= {module, "ChainOfThought", "Predict"}
