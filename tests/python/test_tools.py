"""Tools, MCP servers, modules of files, programs in files."""

import json
import socket
import subprocess
import sys
import threading

import pytest

SEQ = iter(range(1, 10_000))


def known(tools=(), servers=(), modules=()):
    """What the workbench hands over with each request."""
    return {
        "seq": 1_000_000 + next(SEQ),
        "tools": list(tools),
        "servers": list(servers),
        "modules": list(modules),
    }


def result(answer):
    assert answer["ok"], answer
    return answer["result"]


TOOLS = '''
import asyncio

def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b

async def slow_add(a: int, b: int) -> int:
    """Add two numbers, later."""
    await asyncio.sleep(0)
    return a + b

def broken(word: str) -> str:
    """Always fails."""
    raise RuntimeError(f"no {word} today")
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "helpers.py"
    path.write_text(TOOLS)
    return path


def test_tool_of_a_file_has_a_schema_from_annotations(call, file):
    """R37: name, description, schema; called with checked arguments."""
    tool = result(call("register_tool", {"file": str(file), "function": "add"}))
    assert (tool["name"], tool["desc"], tool["approval"]) == ("add", "Add two numbers.", "allow")
    assert tool["args"] == {"a": {"type": "integer"}, "b": {"type": "integer", "default": 2}}
    tools = known([tool])
    arguments = {"name": "add", "arguments": {"a": 40}, "registered": tools}
    assert result(call("call_tool", arguments))["result"] == 42
    wrong = {"name": "add", "arguments": {"a": "forty"}, "registered": tools}
    error = call("call_tool", wrong)["error"]
    assert error["type"] == "invalid_input" and "arguments: `a`, `b`" in error["recovery"]["hint"]
    near = call("call_tool", {"name": "ad", "arguments": {}})["error"]
    assert near["recovery"]["near"] == ["add"]


def test_asynchronous_tools_run_inside_an_agent(call, native, file):
    """R28, R37: an async tool runs; a tool that raises becomes an observation."""
    defined = [
        result(call("register_tool", {"file": str(file), "function": name}))
        for name in ("slow_add", "broken")
    ]
    steps = iter(
        [
            ("Add.", "slow_add", {"a": 40, "b": 2}),
            ("Fail.", "broken", {"word": "luck"}),
            ("Done.", "finish", {}),
        ]
    )

    def script(request):
        if "next_tool_name" not in str(request["messages"][0]):
            return "[[ ## reasoning ## ]]\nr\n\n[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]"
        thought, tool, given = next(steps)
        return (
            f"[[ ## next_thought ## ]]\n{thought}\n\n[[ ## next_tool_name ## ]]\n{tool}\n\n"
            f"[[ ## next_tool_args ## ]]\n{json.dumps(given)}\n\n[[ ## completed ## ]]"
        )

    native.script = script
    arguments = {
        "module": "ReAct",
        "signature": "question -> answer",
        "options": {"tools": ["slow_add", "broken"]},
        "inputs": {"question": "40 + 2?"},
        "registered": known(defined),
    }
    answer = result(call("execute_module", arguments))
    steps_taken = answer["trajectory"]
    assert steps_taken["observation_0"] == 42
    assert "no luck today" in steps_taken["observation_1"]
    assert steps_taken["tool_name_2"] == "finish" and answer["answer"] == "42"
    spans = [span[5] for span in native.spans if span[0] == "start" and span[4] == "tool"]
    assert spans == ["slow_add", "broken", "finish"]


def test_policies_decide_with_the_exact_arguments(call, native, file):
    """R37: allow, ask and deny; who is asked sees every argument as it is."""
    tool = result(call("register_tool", {"file": str(file), "function": "add", "approval": "ask"}))
    given = {"a": 1, "b": 10**6}
    request = {"name": "add", "arguments": given, "registered": known([tool])}
    native.approvals = [(True, ""), (False, "the user refused `add`")]
    assert result(call("call_tool", request))["result"] == 1_000_001
    assert native.asked == [("add", given)]
    refused = call("call_tool", {**request, "registered": known([tool])})["error"]
    assert (refused["type"], refused["message"]) == ("tool_refused", "the user refused `add`")
    holds = [span for span in native.spans if span[0] == "start" and span[4] == "hold"]
    assert len(holds) == 2 and json.loads(holds[0][6]) == given
    denied = {**request, "registered": known([{**tool, "approval": "deny"}])}
    assert "denied" in call("call_tool", denied)["error"]["message"]
    assert len(native.asked) == 2, "nobody is asked about what is denied"


def test_code_act_cannot_pass_a_policy_by(call, file):
    """CodeAct copies a tool's source into the sandbox: a guarded one is refused."""
    tool = result(call("register_tool", {"file": str(file), "function": "add", "approval": "ask"}))
    arguments = {
        "module": "CodeAct",
        "signature": "question -> answer",
        "options": {"tools": ["add"]},
        "inputs": {"question": "?"},
        "registered": known([tool]),
    }
    assert call("execute_module", arguments)["error"]["type"] == "tool_not_allowed"


def test_tools_are_read_again_when_their_file_changes(call, file):
    """A changed file is read again; one that lost its function says so."""
    tool = result(call("register_tool", {"file": str(file), "function": "add"}))
    request = {"name": "add", "arguments": {"a": 1}, "registered": known([tool])}
    assert result(call("call_tool", request))["result"] == 3
    file.write_text(TOOLS.replace("a + b", "a * 100 + b"))
    assert result(call("call_tool", {**request, "registered": known([tool])}))["result"] == 102
    file.write_text("x = 1\n")
    gone = call("call_tool", {**request, "registered": known([tool])})["error"]
    assert gone["type"] == "stale_tool"


def test_sample_tools(call):
    """R37: documentation, code analysis, and pytest in a folder of its own."""
    samples = ("fetch_documentation", "analyze_code", "run_tests")
    defined = [result(call("register_tool", {"sample": name})) for name in samples]
    assert [tool["approval"] for tool in defined] == ["allow", "allow", "ask"]
    tools = [{**tool, "approval": "allow"} for tool in defined]

    def ask(name, **arguments):
        request = {"name": name, "arguments": arguments, "registered": known(tools)}
        return result(call("call_tool", request))["result"]

    assert "ReAct" in ask("fetch_documentation", topic="dspy.ReAct")
    analysis = ask("analyze_code", code="import os\ndef f(x=[]):\n    return x\n")
    assert analysis["functions"][0]["name"] == "f"
    assert "line 1: `os` is not used" in analysis["issues"]
    assert ask("analyze_code", code="def f(:")["error"].startswith("line 1")
    tests = "from solution import double\ndef test_it():\n    assert double(2) == 4\n"
    good = ask("run_tests", code="def double(n): return 2 * n\n", tests=tests)
    assert good["passed"] and "1 passed" in good["output"]
    bad = ask("run_tests", code="def double(n): return n\n", tests=tests)
    assert not bad["passed"] and "assert 2 == 4" in bad["output"]


def test_mcp_server_over_stdio(call, native):
    """R37: a real MCP server from PyPI; its tools are registered, guarded and called."""
    answer = result(
        call(
            "register_mcp_server",
            {"name": "time", "command": [sys.executable, "-m", "mcp_server_time"]},
        )
    )
    names = [tool["name"] for tool in answer["tools"]]
    assert "convert_time" in names
    assert {tool["approval"] for tool in answer["tools"]} == {"ask"}
    request = {
        "name": "convert_time",
        "arguments": {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"},
        "registered": known(answer["tools"], [answer["server"]]),
    }
    native.approvals = [(True, "")]
    assert "21:00" in str(result(call("call_tool", request))["result"])
    wrong = {**request, "arguments": {**request["arguments"], "time": "noon"}}
    native.approvals = [(True, "")]
    assert call("call_tool", wrong)["error"]["message"]


HTTP_SERVER = """
import sys
from mcp.server.mcpserver import MCPServer
server = MCPServer("sums")

@server.tool()
def add(a: int, b: int) -> int:
    "Add."
    return a + b

@server.tool()
async def hang() -> int:
    "Never answers."
    import asyncio
    await asyncio.Event().wait()

server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
"""


def test_mcp_server_over_http(call, monkeypatch):
    """R37, R104: the same over HTTP; a server that is not there, and a tool that never
    answers, are named with what to do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/mcp"
    request = {"name": "sums", "url": url, "approval": "allow"}
    nobody = call("register_mcp_server", request)["error"]
    assert nobody["type"] == "mcp_server_failed" and "sums" in nobody["message"]
    process = subprocess.Popen(
        [sys.executable, "-c", HTTP_SERVER, str(port)], stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if "running" in line:
                break
        threading.Thread(target=process.stderr.read, daemon=True).start()
        answer = result(call("register_mcp_server", request))
        arguments = {"name": "add", "arguments": {"a": 40, "b": 2}}
        arguments["registered"] = known(answer["tools"], [answer["server"]])
        assert str(result(call("call_tool", arguments))["result"]) == "42"
        from dspex_worker import mcp_servers

        monkeypatch.setattr(mcp_servers, "_CALL_SECONDS", 0.5)
        hung = call("call_tool", {**arguments, "name": "hang", "arguments": {}})["error"]
        assert "did not answer within" in hung["message"], hung
        monkeypatch.undo()
        assert str(result(call("call_tool", arguments))["result"]) == "42"
    finally:
        process.kill()
        process.wait()


def test_what_is_wrong_with_a_server_is_told(call):
    """Bad commands and addresses get one clear sentence."""
    missing = call("register_mcp_server", {"name": "x", "command": ["no-such-program"]})["error"]
    assert missing["type"] == "unknown_program"
    both = call("register_mcp_server", {"name": "x"})["error"]
    assert both["type"] == "missing_argument"
    dies = call("register_mcp_server", {"name": "x", "command": [sys.executable, "-c", "1/0"]})
    assert dies["error"]["type"] == "mcp_server_failed"


MODULE = '''
import dspy

class Planner(dspy.Module):
    """Plans, then answers."""

    def __init__(self, style="short"):
        super().__init__()
        self.plan = dspy.ChainOfThought("question -> plan")
        self.answer = dspy.Predict("question, plan -> answer")
        self.count = 0

    def forward(self, question):
        self.count += 1
        plan = self.plan(question=question)
        done = self.answer(question=question, plan=plan.plan)
        return dspy.Prediction(plan=plan.plan, answer=done.answer, count=self.count)

    def cleanup(self):
        with open(CLOSED, "a") as file:
            file.write("closed\\n")
'''


@pytest.fixture
def planner(call, tmp_path):
    path = tmp_path / "planner.py"
    path.write_text(f"CLOSED = {str(tmp_path / 'closed')!r}\n{MODULE}")
    return path, result(call("register_module", {"name": "planner", "file": str(path)}))


def test_module_of_a_file(call, native, planner):
    """R34, R35: registered by name, listed, run with a nested trace, cleaned up, read again."""
    path, module = planner
    assert (module["class"], module["doc"]) == ("Planner", "Plans, then answers.")
    assert module["options"] == {"style": "short"}
    assert module["inputs"] == [{"name": "question", "type": "str"}]
    request = {
        "module": "planner",
        "inputs": {"question": "?"},
        "registered": known(modules=[module]),
    }
    assert result(call("execute_module", request))["answer"] == "paris"
    assert (path.parent / "closed").read_text() == "closed\n"
    spans = [span[5] for span in native.spans if span[0] == "start" and span[4] == "module"]
    assert spans == ["Planner", "ChainOfThought", "Predict", "Predict"]
    again = known(modules=[module])
    listed = result(call("list_dspy_modules", {"registered": again}))["modules"][-1]
    assert listed["name"] == "planner" and "planner.py:Planner" in listed["doc"]
    path.write_text(path.read_text().replace("plan=plan.plan, answer", "plan='new', answer"))
    assert result(call("execute_module", {**request, "registered": again}))["plan"] == "new"


def test_bad_module_file_reports_its_line(call, planner, tmp_path):
    """R35: a fault in the file is told with its line; a missing class with near matches."""
    path, module = planner
    path.write_text("import dspy\n\nclass Planner(dspy.Module)\n    pass\n")
    request = {"module": "planner", "inputs": {}, "registered": known(modules=[module])}
    error = call("execute_module", request)["error"]
    assert error["type"] == "invalid_file" and error["message"].startswith("line 3 of `planner.py`")
    path.write_text("import dspy\nx = 1\ny = x / 0\n")
    error = call("execute_module", {**request, "registered": known(modules=[module])})["error"]
    assert error["message"].startswith("line 3 of `planner.py`: ZeroDivisionError")
    path.write_text("import dspy\nclass Planer(dspy.Module): pass\n")
    asked = {"name": "p", "file": str(path), "class": "Planner"}
    assert call("register_module", asked)["error"]["recovery"]["near"] == ["Planer"]
    missing = call("register_module", {"name": "p", "file": str(tmp_path / "planer.py")})["error"]
    assert missing["type"] == "unknown_file" and missing["recovery"]["near"] == ["planner.py"]
    taken = call("register_module", {"name": "ReAct", "file": str(path)})["error"]
    assert taken["type"] == "name_taken"


def test_programs_keep_their_state_until_ten_others_were_used(call, planner):
    """R15, R113: state lives between runs; the least recently used program is let go."""
    _, module = planner
    path = planner[0]
    modules = known(modules=[module])

    def run(style):
        program = {"name": style, "modules": ["planner"], "options": {"style": style}}
        request = {"program": program, "inputs": {"question": "?"}, "registered": modules}
        return result(call("execute_program", request))["count"]

    assert [run("first"), run("first")] == [1, 2]
    closed = path.parent / "closed"
    before = len(closed.read_text().splitlines()) if closed.exists() else 0
    for number in range(10):
        run(f"other{number}")
    assert len(closed.read_text().splitlines()) == before + 1
    assert run("first") == 1


def test_program_goes_to_a_file_and_back(call, native, tmp_path):
    """R113: plain JSON with signature, module, options and state; loaded it costs no call."""
    made = result(
        call(
            "create_program",
            {"name": "qa", "module": "Predict", "signature": "question -> answer: str"},
        )
    )
    demo = {"question": "q", "answer": "a"}
    state = {"traces": [], "train": [], "demos": [demo], "signature": None, "lm": None}
    import dspy

    state["signature"] = dspy.Predict("question -> answer: str").dump_state()["signature"]
    program = {**made, "state": state}
    path = tmp_path / "qa.json"
    saved = result(call("save_program", {"program": program, "path": str(path)}))
    data = json.loads(path.read_text())
    assert data["format"] == "dspex-program" and data["program"]["modules"] == ["Predict"]
    assert len(saved["hash"]) == 64
    loaded = result(call("load_program", {"path": str(path), "name": "again"}))
    assert loaded["name"] == "again" and loaded["state"]["demos"] == [demo]
    assert native.calls == []
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 9'))
    assert call("load_program", {"path": str(path)})["error"]["type"] == "newer_format"
    path.write_text("{")
    assert call("load_program", {"path": str(path)})["error"]["type"] == "invalid_json"


def test_pickles_need_trust(call, tmp_path):
    """A pickle is loaded only when the hash of its bytes is given."""
    import dspy

    folder = tmp_path / "saved"
    dspy.Predict("question -> answer").save(str(folder), save_program=True)
    refused = call("load_program", {"path": str(folder)})["error"]
    assert refused["type"] == "untrusted_pickle"
    digest = refused["context"]["hash"]
    wrong = call("load_program", {"path": str(folder), "trust": digest[::-1]})["error"]
    assert wrong["type"] == "untrusted_pickle"
    loaded = result(call("load_program", {"path": str(folder), "trust": digest}))
    assert loaded["modules"] == ["Predict"]
    dspy.Predict("question -> answer").save(str(tmp_path / "state.json"))
    state = {"path": str(tmp_path / "state.json")}
    assert call("load_program", state)["error"]["type"] == "missing_argument"
    whole = {**state, "module": "Predict", "signature": "question -> answer"}
    assert result(call("load_program", whole))["name"] == "state"


def test_an_mcp_server_that_says_nothing_is_given_up(call, monkeypatch):
    """R104: an address that takes connections and stays silent costs the time set for it."""
    import socket

    from dspex_worker import mcp_servers

    monkeypatch.setattr(mcp_servers, "_CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
        asked = {"name": "silent", "url": url, "approval": "allow"}
        error = call("register_mcp_server", asked)["error"]
    assert "did not answer within 1 s" in error["message"], error
    assert error["class"] == "timeout" and error["recovery"]["hint"], error


def test_an_unknown_tool_says_how_to_make_one(call):
    """R37: the hint names samples and the notebook's own functions, not IPython's."""

    def refused(tool):
        arguments = {
            "module": "ReAct",
            "signature": "question -> answer",
            "inputs": {"question": "?"},
            "options": {"tools": [tool]},
            "registered": known(),
        }
        answer = call("execute_module", arguments)
        assert not answer["ok"], answer
        assert answer["error"]["type"] == "unknown_tool"
        return answer["error"]["recovery"]["hint"]

    hint = refused("fetch_documentation")
    assert "`:tool add fetch_documentation sample=fetch_documentation`" in hint
    # Cells of other tests may have left functions, which are named then.
    hint = refused("qqqq")
    assert "`open`" not in hint and ("`:tool add`" in hint or hint.startswith("known: ")), hint
    result(call("run_cell", {"source": "def shout_it(text: str) -> str:\n    return text"}))
    assert "`shout_it`" in refused("shout_i")
