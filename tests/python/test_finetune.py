"""`train_model`: DSPy's BootstrapFinetune on LMs whose provider trains, or says why not."""

import threading

import dspy
import pytest
from dspex_worker import lms
from dspex_worker.kernel import shell
from dspy.clients.provider import Provider

QA = "question -> answer"
ROWS = [{"question": f"q{i}", "answer": "paris"} for i in range(8)]


class Trainer(Provider):
    """Trains at once, or fails as it is told to."""

    def __init__(self, fail=""):
        super().__init__()
        self.finetunable = True
        self.fail = fail
        self.seen = []

    def finetune(self, job, model, train_data, train_data_format, train_kwargs=None):
        if self.fail:
            raise RuntimeError(self.fail)
        self.seen.append((model, train_data, train_kwargs))
        return "demo/trained"


@pytest.fixture
def trained(native):
    """A program of the notebook whose LM can be trained."""
    lm = dspy.LM("demo/demo", api_key="x", provider=Trainer())
    program = dspy.ChainOfThought(QA)
    program.set_lm(lm)
    shell.namespace()["qa"] = program
    yield lm.provider
    shell.namespace().pop("qa", None)


def train(call, program="qa", **more):
    return call("train_model", {"program": program, "dataset": ROWS, **more})


def test_an_lm_of_the_notebook_is_trained(call, native, trained):
    """R21: BootstrapFinetune trains it on the right answers, and the program uses it."""
    options = {"train_kwargs": {"n_epochs": 2}, "holdout": 0.25}
    answer = train(call, options=options)["result"]
    assert answer["model"] == "demo/trained" and answer["examples_used"] == 6
    [(model, data, kwargs)] = trained.seen
    assert model == "demo/demo" and kwargs == {"n_epochs": 2}
    assert data[0]["messages"][-1]["role"] == "assistant"
    program = answer["program"]
    assert (program["version"], program["optimizer"]) == (2, "BootstrapFinetune")
    assert "notebook" in program["unportable"] and program["state"] is None
    phases = [p["name"] for p in native.progress() if p["step"] == "phase"]
    assert phases == ["baseline", "collect", "train", "evaluate"]
    assert shell.namespace()["qa"].predict.lm.model == "demo/trained"
    native.spans.clear()
    call("execute_program", {"program": "qa", "inputs": {"question": "x"}})
    assert [s[5] for s in native.spans if s[0] == "start" and s[4] == "lm"] == ["demo/trained"]


def test_a_profile_is_trained(call, native, monkeypatch):
    """R21: the trained model becomes a profile, and the program names it as its own."""
    provider = Trainer()
    monkeypatch.setattr(dspy.LM, "infer_provider", lambda self: provider)
    monkeypatch.setattr(lms, "_made", {})
    program = call("create_program", {"name": "t", "module": "Predict", "signature": QA})["result"]
    answer = train(call, program)["result"]
    assert answer["profile"] == {"name": "t-v2", "base": "demo", "model": "demo/trained"}
    assert answer["program"]["lm"] == "t-v2" and "unportable" not in answer["program"]


def test_who_cannot_be_trained_says_so(call):
    """R21: the demo LM has no training: the profile and what to do are named."""
    program = call("create_program", {"name": "t", "module": "Predict", "signature": QA})["result"]
    error = train(call, program)["error"]
    assert error["type"] == "cannot_finetune" and error["class"] == "lm"
    assert error["message"].startswith("the LM profile `demo` (demo/demo) cannot be fine-tuned")
    assert "provider=" in error["recovery"]["hint"]
    error = call("optimize_prompt", {"program": program, "optimizer": "BootstrapFinetune"})["error"]
    assert error["recovery"]["near"] == ["train_model"]


def test_examples_for_a_server_of_ones_own_do_not_go_to_openai(call, native):
    """R21: DSPy takes every `openai/` model for OpenAI's, wherever it is served."""
    program = dspy.Predict(QA)
    program.set_lm(dspy.LM("openai/qwen", api_base="http://127.0.0.1:9/v1", api_key="x"))
    shell.namespace()["qa"] = program
    error = train(call)["error"]
    assert "would send the examples to OpenAI, not to 127.0.0.1" in error["message"]
    assert not native.calls


def test_what_goes_wrong_leaves_the_program_as_it_was(call, native, trained):
    """R21: a failed training, nothing to train on, and options that are wrong."""
    before = shell.namespace()["qa"]
    trained.fail = "out of credit"
    error = train(call)["error"]
    assert error["type"] == "training_failed" and "out of credit" in error["message"]
    wrong = [{**row, "answer": "oslo"} for row in ROWS]
    error = train(call, dataset=wrong)["error"]
    assert error["type"] == "nothing_to_train_on"
    error = train(call, options={"train_kwarg": {}})["error"]
    assert error["recovery"]["near"] == ["train_kwargs"]
    assert train(call, options={"exclude_demos": 1})["error"]["type"] == "invalid_option"
    assert shell.namespace()["qa"] is before


def test_a_cancelled_training_ends(call, native, trained):
    """R21: training may take hours at the provider; the run's cancel ends it."""
    ended = threading.Event()

    def finetune(*args, **kwargs):
        native.cancelled.add(1)
        ended.wait(30)

    trained.finetune = finetune
    error = train(call)["error"]
    ended.set()
    assert error["class"] == "interrupted"
