"""Transport and trace."""

import asyncio

import pytest


def test_ready(worker):
    assert worker["tracing"] == "wrappers" and worker["door"] == "transport"


def test_failures_become_dspys_errors(call, native):
    def refuse(request):
        raise native.TransportFailure("connect", "connection refused")

    native.script = refuse
    spec = {"module": "Predict", "signature": "q -> a", "inputs": {"q": "x"}}
    from dspex_worker import lms

    lms.make({"profile": "demo", "model": "demo/demo", "params": {}}).num_retries = 0
    error = call("execute_module", spec)["error"]
    assert (error["type"], error["class"]) == ("LMTransportError", "lm")
    assert error["recovery"]["strategy"] == "retry" and error["traceback"]


def test_cancel(call, native):
    native.cancelled.add(77)
    spec = {"module": "Predict", "signature": "q -> a", "inputs": {"q": "x"}}
    error = call("execute_module", spec, run=77)["error"]
    assert (error["type"], error["class"]) == ("RunCancelled", "interrupted")


def test_user_callbacks_see_our_ids(native):
    import dspy
    from dspy.utils.callback import BaseCallback

    seen = []

    class Watch(BaseCallback):
        def on_module_start(self, call_id, instance, inputs):
            seen.append(call_id)

    with dspy.context(lm=dspy.LM("demo/demo"), callbacks=[Watch()]):
        dspy.ChainOfThought("q -> a")(q="x")
    ours = [s[1] for s in native.spans if s[0] == "start" and s[4] == "module"]
    assert seen == ours and len(seen) == 2


def test_compile_and_pool_threads_are_traced(native):
    import dspy

    rows = [dspy.Example(q="x", a="paris").with_inputs("q") for _ in range(4)]
    with dspy.context(lm=dspy.LM("demo/demo")):
        dspy.LabeledFewShot(k=1).compile(dspy.Predict("q -> a"), trainset=rows)
        dspy.Evaluate(devset=rows, metric=lambda e, p, t=None: 1.0, num_threads=2)(
            dspy.Predict("q -> a")
        )
    starts = [s for s in native.spans if s[0] == "start"]
    assert "compile" in {s[4] for s in starts}
    evaluate = next(s for s in starts if s[4] == "evaluate")
    assert sum(s[2] == evaluate[1] and s[4] == "module" for s in starts) == 4


def test_streams(native):
    import dspy

    program = dspy.streamify(dspy.Predict("q -> a"), async_streaming=False)
    with dspy.context(lm=dspy.LM("demo/demo")):
        pieces = list(program(q="x"))
    assert pieces[-1].a == "paris"


def test_async_failure(native):
    import dspy

    def refuse(request):
        raise native.TransportFailure("timeout", "too slow")

    native.script = refuse
    with (
        dspy.context(lm=dspy.LM("demo/demo", num_retries=0)),
        pytest.raises(dspy.LMTransportError),
    ):
        asyncio.run(dspy.Predict("q -> a").acall(q="x"))


def test_adapters_of_plain_types_are_made_once_and_others_each_time(worker):
    from dspy.adapters import utils
    from pydantic import TypeAdapter

    class Mine:
        pass

    assert utils.TypeAdapter(str) is utils.TypeAdapter(str)
    assert utils.TypeAdapter(list[int]) is not utils.TypeAdapter(list[int])
    for value in ["x", 1, 1.5, True, None, b"x", [1, {"a": (2,)}], {"k": {1}}, 2**70]:
        expected = TypeAdapter(type(value)).dump_python(value, mode="json", fallback=str)
        assert utils.serialize_for_json(value) == expected
    mine = Mine()
    assert utils.serialize_for_json(mine) == str(mine)
    assert utils.parse_value("[1, 2]", list[int]) == [1, 2] and utils.parse_value("3", int) == 3


def test_a_bar_outlives_the_clearing_of_bars(worker):
    """Evaluations side by side do not fail for each other's progress bars."""
    from tqdm import tqdm

    bar = tqdm.__new__(tqdm)
    tqdm._instances.clear()  # as DSPy does when another evaluation begins
    bar.__init__(range(3), disable=True)
    assert list(bar) == [0, 1, 2]
