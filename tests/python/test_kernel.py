"""Cells."""

import re

import pytest


@pytest.fixture
def cell(call):
    number = [0]

    def run(source):
        number[0] += 1
        return call("run_cell", {"source": source}, run=100 + number[0], cell=number[0], lm=False)[
            "result"
        ]

    return run


def text(native):
    return "".join(o["text"] for o in native.outputs() if o["output"] == "stream")


def test_output_value_and_error(cell, native):
    assert cell("print('hello')\n41 + 1")["status"] == "ok"
    assert text(native) == "hello\n"
    assert native.outputs()[-1]["data"]["text/plain"] == "42"
    failed = cell("1/0")
    assert failed["status"] == "error" and failed["error"]["type"] == "ZeroDivisionError"
    assert failed["error"]["traceback"]


def test_top_level_await_and_configure(cell, native):
    source = "import asyncio, dspy\nawait asyncio.sleep(0)\n"
    assert cell(source + "dspy.configure(lm=dspy.LM('demo/demo'))")["status"] == "ok"
    done = cell("p = dspy.Predict('question -> answer')\np(question='x')")
    assert done["status"] == "ok", done
    data = native.outputs()[-1]["data"]
    assert data["application/vnd.dspex.prediction+json"] == {"answer": "paris"}
    assert [d["name"] for d in done["registered"]] == ["p"]
    assert native.calls[-1][3] == 2
    gathered = "r = await asyncio.gather(p.acall(question='a'), p.acall(question='b'))\nr[1].answer"
    assert cell(gathered)["status"] == "ok"
    assert native.outputs()[-1]["data"]["text/plain"] == "'paris'"
    assert cell("dspy.configure(lm=None)")["status"] == "ok"


def test_threads_print_in_their_cell(cell, native):
    cell("import threading\nt = threading.Thread(target=print, args=('t',)); t.start(); t.join()")
    assert text(native) == "t\n"


def test_input_needs_somebody(cell, native):
    assert cell("input('name? ')")["error"]["type"] == "EOFError"
    native.interactive, native.inputs = True, ["Ada"]
    assert cell("input('name? ')")["status"] == "ok"
    native.interactive = False
    assert {"output": "input", "prompt": "name? ", "text": "Ada"} in native.outputs()


def test_interrupt(cell):
    assert cell("raise KeyboardInterrupt")["status"] == "interrupted"
    assert cell("import sys; sys.exit(3)")["error"]["type"] == "SystemExit"


def test_names(cell, native):
    cell(
        "import math\nxs = [1, 2]\ndef f(): pass\nimport dspy\nclass S(dspy.Signature):\n"
        "    q: str = dspy.InputField()\n    a: int = dspy.OutputField()"
    )
    names = [p["names"] for kind, _, p in native.sent if kind == "names"][-1]
    kinds = {n["name"]: n["kind"] for n in names}
    expected = {"math": "module", "xs": "variable", "f": "function", "S": "signature"}
    assert expected.items() <= kinds.items()
    assert "In" not in kinds and "get_ipython" not in kinds


def test_completion_and_inspection(call, cell):
    cell("import dspy")
    result = call("complete", {"source": "dspy.Pre", "cursor": 8})["result"]
    assert any(m["text"].endswith("Predict") for m in result["matches"])
    assert call("inspect", {"source": "dspy.Predict", "cursor": 6})["result"]["found"]
    assert not call("inspect", {"source": "nope", "cursor": 2})["result"]["found"]


def test_restore(call, cell):
    program = call("create_program", {"module": "Predict", "signature": "q -> a", "name": "keep"})
    result = call("restore", {"programs": [program["result"]], "datasets": []}, lm=False)["result"]
    assert result == {"restored": ["keep"], "failed": []}
    assert cell("keep.signature.instructions")["status"] == "ok"


@pytest.mark.parametrize(
    "source",
    [
        "def f(n):\n    return f(n + 1)\nf(0)",
        "def f(n):\n    return g(n + 1)\ndef g(n):\n    return f(n + 1)\nf(0)",
        "try:\n    f(0)\nexcept RecursionError as first:\n    raise ValueError('told') from first",
    ],
)
def test_endless_recursion_is_counted_and_not_drawn(cell, monkeypatch, source):
    """A recursion without end costs a handful of frames, and says how many it left out."""
    import inspect

    looked_up = []
    real = inspect.getmodule
    monkeypatch.setattr(inspect, "getmodule", lambda *a: (looked_up.append(a), real(*a))[1])
    cell("def f(n):\n    return f(n + 1)")
    error = cell(source)["error"]
    assert error["type"] in ("RecursionError", "ValueError")
    shown = "\n".join(error["traceback"])
    times = [int(n) for n in re.findall(r"\((\d+) times\)", shown)]
    assert sum(times) > 900, shown
    assert "RecursionError" in shown and len(error["traceback"]) < 100
    assert len(looked_up) < 200


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("b'x' * 2**28", "… (268435456 bytes in all)"),
        ("'é\\n' * 100_000", "… (200000 characters in all)"),
        ("[list(range(1000))] * 1000", "… (the rest is left out)"),
        ("{n: b'x' * 1000 for n in range(900)}", "… (the rest is left out)"),
    ],
)
def test_a_giant_is_shown_in_part(cell, native, source, said):
    """Of a value too big to show only the beginning is made."""
    import tracemalloc

    cell("giant = " + source)
    tracemalloc.start()
    assert cell("giant")["status"] == "ok"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    shown = native.outputs()[-1]["data"]["text/plain"]
    assert 40_000 < len(shown) <= 50_000 and shown.endswith(said), shown[-100:]
    assert peak < 20_000_000, peak


def test_values_are_shown_as_ever(cell, native):
    """Of what is not too big, everything is shown, in IPython's own layout."""
    for source, shown in [
        ("'a\\nb'", r"'a\nb'"),
        ("type('Text', (str,), {'__repr__': lambda self: 'mine'})('x' * 90_000)", "mine"),
        ("[b'x', bytearray(b'y')]", "[b'x', bytearray(b'y')]"),
        ("list(range(1002))[-2:]", "[1000, 1001]"),
    ]:
        assert cell(source)["status"] == "ok"
        assert native.outputs()[-1]["data"]["text/plain"] == shown


def test_a_lost_stream_is_put_back(cell, native):
    """A cell that takes `sys.stdout` away does not silence those after it."""
    cell("import sys\nsys.stdout = None")
    assert cell("print('heard')")["status"] == "ok"
    assert text(native) == "heard\n"
    cell("import io\nmine, sys.stdout = sys.stdout, io.StringIO()")
    assert cell("print('mine')\nkept, sys.stdout = sys.stdout, mine")["status"] == "ok"
    cell("print(kept.getvalue().strip())")
    assert text(native) == "heard\nmine\n"
