"""Errors: each has a class, a strategy and a remedy, and what can be tried again is."""

import dspy
import pytest

ROWS = [{"q": f"q{n}", "a": "paris"} for n in range(6)]
OPTIMIZE = {"program": "p", "dataset": "d", "metric": "exact_match"}


def describe(error, operation="", **options):
    from dspex_worker import errors

    try:
        raise error
    except BaseException as raised:
        return errors.describe(raised, operation, **options)


@pytest.mark.parametrize(
    ("error", "operation", "klass", "strategy"),
    [
        (RuntimeError("x"), "optimize_prompt", "optimization", "fallback"),
        (ZeroDivisionError("x"), "execute_module", "python_runtime", "fatal"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "x"), "", "serialization", "fatal"),
        (RecursionError("x"), "", "serialization", "fatal"),
        (TimeoutError("x"), "", "timeout", "restart_process"),
        (
            ModuleNotFoundError("No module named 'nope'", name="nope"),
            "",
            "import",
            "fatal",
        ),
        (ImportError("x"), "", "import", "fatal"),
        (KeyboardInterrupt(), "", "interrupted", "fatal"),
        (ValueError("x"), "execute_module", "invalid_input", "fatal"),
        (ValueError("No LM is loaded"), "execute_module", "lm", "fatal"),
        (dspy.LMServerError("x"), "optimize_prompt", "lm", "retry"),
        (dspy.LMAuthError("x"), "optimize_prompt", "lm", "fatal"),
        (TimeoutError("x"), "optimize_prompt", "timeout", "restart_process"),
        (ImportError("x"), "optimize_prompt", "import", "fatal"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "x"), "optimize_prompt", "serialization", "fatal"),
        (IndexError("x"), "bootstrap_examples", "optimization", "fallback"),
    ],
)
def test_classes_and_strategies(worker, error, operation, klass, strategy):
    """R98, R99: each class of failure and what follows from it (a dead process: `faults`)."""
    told = describe(error, operation)
    assert (told["class"], told["recovery"]["strategy"]) == (klass, strategy)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            ModuleNotFoundError("No module named 'nope'", name="nope"),
            "module_not_found",
        ),
        (ValueError("bad k"), "invalid_input"),
        (TimeoutError("slow"), "python_timeout"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError"),
    ],
)
def test_kinds(worker, error, kind):
    """R97, R101: kind, message, traceback, context and a remedy, each with its words."""
    told = describe(error, "execute_module")
    assert told["type"] == kind and told["message"] == str(error)
    assert any("test_errors.py" in line for line in told["traceback"])
    assert told["context"]["operation"] == "execute_module"
    assert told["recovery"]["hint"]


def lm_errors():
    every = [getattr(dspy, name) for name in dir(dspy) if name.endswith("Error")]
    return [error for error in every if issubclass(error, dspy.LMError)]


@pytest.mark.parametrize("error", lm_errors(), ids=lambda error: error.__name__)
def test_each_lm_error_is_mapped(worker, error):
    """R101: each `LM*Error` of DSPy: tried again exactly where DSPy says that it may help."""
    raised = error(message="first line\nmore advice")
    told = describe(raised, "execute_module")
    assert (told["type"], told["class"]) == (error.__name__, "lm")
    assert told["message"] == "first line" and told["recovery"]["hint"]
    from dspy.utils.exceptions import LMStreamAssemblyError, is_retryable_lm_error

    if error is not LMStreamAssemblyError:  # DSPy says no, once its answer has begun to show
        assert (told["recovery"]["strategy"] == "retry") == is_retryable_lm_error(raised)


def test_facts_of_an_lm_error_are_kept(worker):
    """R101: what the server said is in the context."""
    error = dspy.LMRateLimitError("slow down", model="m", status=429, retry_after=7.0)
    told = describe(error)
    assert told["context"]["status"] == 429 and told["context"]["retry_after"] == 7.0


def test_an_answer_that_cannot_be_read(call, native):
    """R101: `AdapterParseError` names the adapter and may be tried again."""
    native.script = lambda request: "no fields at all"
    spec = {"module": "Predict", "signature": "q -> a: int", "inputs": {"q": "x"}}
    error = call("execute_module", spec)["error"]
    assert (error["type"], error["class"]) == ("AdapterParseError", "lm")
    assert error["recovery"]["strategy"] == "retry" and error["recovery"]["hint"]
    assert error["context"]["adapter_name"]


def optimize(call, **more):
    program = call("create_program", {"name": "p", "module": "Predict", "signature": "q -> a"})
    arguments = {
        "program": program["result"],
        "dataset": ROWS,
        "metric": "exact_match",
        **more,
    }
    return call("optimize_prompt", arguments)


def test_a_server_that_is_too_slow_is_not_called_unreachable():
    """R101, R104: DSPy calls a read time-out a transport error; the remedy is of the time-out."""

    class ReadTimeout(Exception):
        pass

    slow = dspy.LMTransportError("no answer within 2 s")
    slow.__cause__ = RuntimeError()
    slow.__cause__.__context__ = ReadTimeout()
    assert "raise the time-out" in describe(slow)["recovery"]["hint"]
    assert "check address" in describe(dspy.LMTransportError("refused"))["recovery"]["hint"]


@pytest.fixture
def flaky(monkeypatch):
    """A compile that fails some times; answers how often it was tried."""
    from dspex_worker import optimizers, recovery

    monkeypatch.setattr(recovery, "WAITS", (0.1,))
    tried = []

    def install(error, times):
        real = optimizers.bootstrap

        def bootstrap(*arguments):
            tried.append(1)
            if len(tried) <= times:
                raise error
            return real(*arguments)

        monkeypatch.setattr(optimizers, "bootstrap", bootstrap)
        return tried

    return install


def test_a_flaky_compile_is_tried_again(call, native, flaky):
    """R100: at most three times, each with a line in the log."""
    tried = flaky(dspy.LMServerError("busy"), 2)
    result = optimize(call)["result"]
    assert len(tried) == 3 and "fallback" not in result
    lines = [p["text"] for kind, _, p in native.sent if kind == "log"]
    assert sum("attempt" in line for line in lines) == 2, lines


def test_after_three_attempts_the_program_stays_as_it_was(call, native, flaky):
    """R100: then the plain program is the answer, and says so."""
    tried = flaky(dspy.LMServerError("busy"), 99)
    result = optimize(call)["result"]
    assert len(tried) == 3
    assert result["fallback"]["attempts"] == 3 and result["fallback"]["reason"] == "busy"
    assert result["program"]["version"] == 1 and result["performance"]["gain"] == 0
    assert result["fallback"]["error"]["recovery"]["hint"]


def test_an_optimizers_own_fault_falls_back_at_once(call, native, flaky):
    """R99, R100: optimisation fails -> fallback; trying again would give the same."""
    tried = flaky(IndexError("list index out of range"), 99)
    result = optimize(call)["result"]
    assert len(tried) == 1 and result["fallback"]["error"]["class"] == "optimization"


@pytest.mark.parametrize("error", [dspy.LMAuthError("no"), ValueError("bad option")])
def test_what_no_other_way_mends_is_an_error(call, native, flaky, error):
    """R99, R100: a refused key is not tried again, and not hidden behind a fallback."""
    tried = flaky(error, 99)
    assert "error" in optimize(call) and len(tried) == 1


def run_learned(call, native, script, monkeypatch, **more):
    from dspex_worker import recovery

    monkeypatch.setattr(recovery, "WAITS", (0.1,))
    made = call("create_program", {"name": "p", "module": "Predict", "signature": "q -> a"})
    state = call(
        "optimize_prompt",
        {"program": made["result"], "dataset": ROWS, "metric": "exact_match"},
    )["result"]["program"]["state"]
    assert "q0" in str(state) or "q1" in str(state), "it learned no demos"
    program = {
        **made["result"],
        "state": state,
        "optimizer": "BootstrapFewShot",
        **more,
    }
    native.sent.clear()
    native.calls.clear()
    native.script = script
    answer = call("execute_program", {"program": program, "inputs": {"q": "where?"}})
    lines = [p["text"] for kind, _, p in native.sent if kind == "log"]
    return answer, [line for line in lines if "execute_program" in line]


def good_without_demos(request):
    learned = len(request["messages"]) > 2
    return "no fields at all" if learned else "[[ ## a ## ]]\nrome\n\n[[ ## completed ## ]]"


def test_a_learned_program_that_cannot_answer_is_run_plain(call, native, monkeypatch):
    """R100: three attempts with a line each, then plain execution, flagged and said."""
    answer, lines = run_learned(call, native, good_without_demos, monkeypatch)
    result = answer["result"]
    assert result["a"] == "rome" and result["fallback"]["attempts"] == 3
    assert result["fallback"]["error"]["type"] == "AdapterParseError"
    assert result["notes"][0].startswith("answered without what was learned: ")
    assert len(lines) == 3 and "done without after 3 of 3" in lines[-1]


def test_a_learned_program_that_answers_at_last_is_no_fallback(call, native, monkeypatch):
    """R100: a further attempt asks anew, past every cache."""
    seen = set()

    def later(request):
        fresh = request.get("temperature") == 1.0
        seen.add(fresh)
        return "[[ ## a ## ]]\noslo\n\n[[ ## completed ## ]]" if fresh else "nothing"

    answer, lines = run_learned(call, native, later, monkeypatch)
    assert answer["result"] == {"a": "oslo"} and len(lines) == 1 and seen == {False, True}


def test_what_learning_is_not_to_blame_for_stays_an_error(call, native, monkeypatch):
    """R100: neither a program that learned nothing nor a server that is down is run plain."""

    def busy(request):
        raise dspy.LMRateLimitError("busy")

    answer, lines = run_learned(call, native, busy, monkeypatch)
    assert "error" in answer and not lines
    answer, lines = run_learned(call, native, lambda _: "nothing", monkeypatch, optimizer=None)
    assert answer["error"]["type"] == "AdapterParseError" and not lines
