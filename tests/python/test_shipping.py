"""What is shipped with a job: names and settings, pickled by value, or why not."""

import base64
import pickle

import dspy
import pytest


@pytest.fixture
def cell(call):
    """Run a cell as the kernel does."""

    def run(source):
        answer = call("run_cell", {"source": source}, run=3, cell=3)
        assert answer["result"]["status"] == "ok", answer
        return answer

    yield run
    from dspex_worker.kernel import shell

    for name in ("Doubt", "doubt", "loud", "locked", "shout", "tooled", "GREETING"):
        shell.namespace().pop(name, None)
    dspy.configure(adapter=None)


def ship(call, **arguments):
    return call("ship", {"arguments": arguments, "has_lm": True})["result"]


def test_nothing_is_shipped_where_nothing_of_the_notebook_is_named(call):
    assert ship(call, program={"name": "qa", "modules": ["Predict"]}, metric="exact_match") == {}


def test_a_module_and_a_metric_of_cells_are_rebuilt_from_what_was_shipped(call, cell, native):
    """A class, its instance and a function of cells, with the globals they use."""
    cell(
        "GREETING = 'well, '\n"
        "def shout(text): return GREETING + text\n"
        "class Doubt(dspy.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.ask = dspy.Predict('question -> answer')\n"
        "    def forward(self, question):\n"
        "        return dspy.Prediction(answer=shout(self.ask(question=question).answer))\n"
        "doubt = Doubt()\n"
        "def loud(example, prediction, trace=None):\n"
        "    return float(prediction.answer == shout(example.answer))\n"
    )
    shipped = ship(call, program="doubt", metric="loud", num_threads=2)
    from dspex_worker import lanes, serialize
    from dspex_worker.kernel import shell

    for name in ("Doubt", "doubt", "loud", "shout", "GREETING"):
        shell.namespace().pop(name)
    rows = [{"question": "capital of France?", "answer": "paris"}]
    request = {
        "operation": "evaluate_part",
        "arguments": {"program": "doubt", "metric": "loud", "dataset": rows, "offset": 40},
        "lm": {"profile": "demo", "model": "demo/demo", "params": {}},
        "run": 5,
        "shipped": shipped["pickle"],
        "parent": "0-5-1",
    }
    native.reset()
    lanes.carry_out((9, "evaluate_part", serialize.dumps(request), 5, None))
    answer = [p for kind, number, p in native.sent if kind == "answer" and number == 9][-1]
    row = answer["result"]["results"][0]
    assert (row["index"], row["score"], row["error"]) == (40, 1.0, None)
    assert row["prediction"]["answer"] == "well, paris"
    roots = [span for span in native.spans if span[0] == "start" and span[2] == "0-5-1"]
    assert [span[4] for span in roots] == ["module"]
    # Outside the job the notebook is as it was.
    assert "doubt" not in shell.namespace()


def test_only_what_is_meant_is_shipped(call, cell):
    """A signature means its classes; a program's own name, and words, mean nothing else."""
    cell(
        "import pydantic\n"
        "class Ticket(pydantic.BaseModel):\n    text: str\n"
        "qa, answer = dspy.Predict('question -> answer'), lambda: 1\n"
    )
    portable = {"name": "qa", "modules": ["Predict"], "signature": "answer -> ticket: list[Ticket]"}
    shipped = ship(call, program=portable)
    assert list(pickle.loads(base64.b64decode(shipped["pickle"]))["names"]) == ["Ticket"]


def test_a_tool_named_in_options_is_shipped(call, cell):
    cell("def shout(text: str) -> str:\n    return text.upper()")
    shipped = ship(call, module="ReAct", options={"tools": ["shout"]})
    names = pickle.loads(base64.b64decode(shipped["pickle"]))["names"]
    assert names["shout"]("a") == "A"


def test_what_cannot_be_pickled_stays_and_is_named_with_the_reason(call, cell):
    cell(
        "import threading\n"
        "def locked(example, prediction, trace=None, lock=threading.Lock()):\n"
        "    return 1.0\n"
    )
    reason = ship(call, metric="locked")["stays"]
    assert reason.startswith("`locked` cannot be pickled: ") and "lock" in reason


def test_settings_that_cells_changed_go_along(call, cell):
    cell("dspy.configure(adapter=dspy.JSONAdapter())")
    shipped = ship(call, program={"name": "qa"})
    settings = pickle.loads(base64.b64decode(shipped["pickle"]))["settings"]
    assert type(settings["adapter"]).__name__ == "JSONAdapter"


def test_a_job_that_stays_has_a_span_with_the_reason(call, native):
    from dspex_worker import lanes, serialize

    request = {
        "operation": "execute_module",
        "arguments": {
            "module": "Predict",
            "signature": "question -> answer",
            "inputs": {"question": "why?"},
        },
        "lm": {"profile": "demo", "model": "demo/demo", "params": {}},
        "run": 6,
        "stays": "`qa` cannot be pickled: it holds a lock",
    }
    lanes.carry_out((9, "execute_module", serialize.dumps(request), 6, None))
    starts = [span for span in native.spans if span[0] == "start"]
    assert (starts[0][4], starts[0][5]) == ("job", "in the kernel")
    assert b"holds a lock" in starts[0][6]
    assert starts[1][2] == starts[0][1], "the module is part of the job"
