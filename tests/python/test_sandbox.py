"""The sandbox: what it refuses, what it stops, what it leaves behind.

One sandbox serves most of these; each piece of code goes into the same process,
which also shows that it outlives what it stopped.
"""

import dataclasses
import glob
import os

import pytest


@pytest.fixture(scope="module")
def sandbox(worker):
    from dspex_worker.sandbox import limits
    from dspex_worker.sandbox.interpreter import Sandbox
    from dspex_worker.sandbox.spare import SPARES

    with Sandbox(limits=limits.Limits(timeout=20, memory_mb=256)) as made:
        yield made
    SPARES.drop()


def stopped(sandbox, code, timeout=None):
    """The error of code, and the account of it."""
    import dspy

    kept = sandbox.limits
    sandbox.limits = dataclasses.replace(kept, timeout=timeout or kept.timeout)
    try:
        with pytest.raises(dspy.CodeExecutionError) as caught:
            sandbox.execute(code)
    finally:
        sandbox.limits = kept
    return str(caught.value), sandbox.last


def alive(sandbox):
    return sandbox.execute("6 * 7") == 42


def test_both_streams_and_the_result_are_kept_apart(sandbox):
    """R122: what code prints on each stream is told apart, and from its value."""
    value = sandbox.execute("import sys\nprint('out')\nprint('err', file=sys.stderr)\n[1, 2]")
    assert value == [1, 2]
    assert (sandbox.last.stdout, sandbox.last.stderr) == ("out\n", "err\n")
    assert sandbox.last.status == "ok" and sandbox.last.memory_mb > 10


def test_an_endless_loop_is_stopped_and_the_session_kept(sandbox):
    """R119: `while True` ends at the time limit, with its variables kept."""
    sandbox.execute("kept = 41")
    pid = sandbox.deno_process.pid
    error, run = stopped(sandbox, "print('begun')\nwhile True: pass", 0.5)
    assert "stopped after 0.5 s; write simpler code" in error
    assert run.status == "timeout" and run.stdout == "begun\n"
    assert sandbox.execute("kept + 1") == 42 and sandbox.deno_process.pid == pid


def test_too_much_memory_is_an_error_of_the_code(sandbox):
    """R119: a 2 GB list fails as a MemoryError that says what would help."""
    pid = sandbox.deno_process.pid
    for code in ("x = [0] * (2 * 1024**3 // 8)", "x = []\nwhile True: x.append(bytearray(2**22))"):
        error, run = stopped(sandbox, code)
        assert "more than 256 MB were needed; hold less data" in error
        assert run.status == "memory"
        sandbox.execute("x = None")
    assert alive(sandbox) and sandbox.deno_process.pid == pid


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.system('true')",
        "import os\nos.execv('/bin/true', ['true'])",
        "import subprocess",
        "import socket",
        "from urllib import request",
        "import importlib\nimportlib.import_module('socket').create_connection(('127.0.0.1', 9))",
        "import importlib\nimportlib.import_module('urllib.request').urlopen('http://127.0.0.1:9')",
        "import os\nos.symlink('/etc/passwd', 'link')",
        "import js",
    ],
)
def test_programs_and_networks_are_denied(sandbox, code):
    """R120: programs, sockets and links are refused in words."""
    _, run = stopped(sandbox, code)
    assert run.status == "denied" or "URLError" in run.error
    assert alive(sandbox)


def test_further_modules_can_be_restricted(worker):
    """R120: which modules may be imported is configuration."""
    from dspex_worker.sandbox import limits

    asked = limits.default().with_options({"restricted_modules": ["os", "sys"]})
    assert limits.refused_import("import os.path", asked.restricted) == "os"
    assert limits.refused_import("def f():\n  from sys import path", asked.restricted) == "sys"
    assert limits.refused_import("import osier, json", asked.restricted) is None


def test_files_of_this_machine_are_not_there(sandbox):
    """R120: neither the home folder nor /etc nor the environment can be read."""
    for path in ("/etc/passwd", os.path.expanduser("~/.bashrc"), __file__, "../../etc/passwd"):
        _, run = stopped(sandbox, f"open({path!r}).read()")
        assert "FileNotFoundError" in run.error
    assert (
        sandbox.execute("import os\nsorted(set(os.environ.values()))").count(os.environ["PATH"])
        == 0
    )


def test_walls_hold_where_the_guards_are_led_around(sandbox):
    """R120: with Deno's own functions in hand there is still no file, network or program."""
    enter = "import importlib\njs = importlib.import_module('js')\n"
    for code in (
        "js.Deno.readTextFileSync('/etc/passwd')",
        "js.Deno.Command.new('/bin/true').outputSync()",
        "await js.fetch('http://127.0.0.1:8080/')",
        "js.Deno.env.get('HOME')",
        "js.Deno.writeTextFileSync('/tmp/dspex-canary', 'x')",
    ):
        _, run = stopped(sandbox, enter + code)
        assert "NotCapable" in run.error + run.stderr, (code, run)
    assert not os.path.exists("/tmp/dspex-canary")
    assert alive(sandbox)


def test_what_cannot_be_interrupted_is_killed_and_functions_are_kept(sandbox):
    """R119: code that does not see the interrupt loses its process, not the session."""
    sandbox.execute("def half(n):\n    return n // 2")
    pid = sandbox.deno_process.pid
    deaf = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    error, run = stopped(sandbox, deaf, 0.5)
    assert run.status == "timeout" and "functions are kept" in error
    assert sandbox.execute("half(84)") == 42
    assert sandbox.deno_process.pid != pid and not _is_running(pid)


def test_a_flood_of_output_is_cut_short(worker):
    """R119: what code prints cannot fill the worker's memory."""
    from dspex_worker.sandbox import limits
    from dspex_worker.sandbox.interpreter import Sandbox

    with Sandbox(limits=limits.Limits(output=100_000)) as sandbox:
        _, run = stopped(sandbox, "print('x' * 1_000_000)")
        assert run.status == "output" and "print less" in run.error


def test_the_working_folder_is_the_runs_own(worker):
    """R121: code has a folder of its own, and it is gone with the sandbox."""
    from dspex_worker.sandbox.interpreter import Sandbox

    with Sandbox() as sandbox:
        sandbox.execute("open('note.txt', 'w').write('hello')")
        folder = sandbox.folder
        assert (folder / "note.txt").read_text() == "hello"
        assert folder.stat().st_mode & 0o077 == 0
        assert sandbox.execute("import os\nos.getcwd(), os.listdir()") == [
            "/workspace",
            ["note.txt"],
        ]
    assert not folder.exists()


def test_a_spare_is_ready_at_once(worker):
    """With a spare the start costs at most 50 ms of work, not seconds."""
    from dspex_worker.sandbox.spare import SPARES

    SPARES.prepare()
    future = SPARES._next
    spare = future.result(timeout=60)
    child, warm = SPARES.take(lambda: None)
    assert warm and child is spare
    child.kill()


def test_a_cancelled_run_ends_its_code(native, sandbox):
    """R119: a run that is cancelled does not wait for its code, and leaves no process."""
    import _dspex
    from dspex_worker import scope
    from dspex_worker.sandbox import limits
    from dspex_worker.sandbox.interpreter import Sandbox

    tools = {"cancel": lambda: native.cancelled.add(77)}
    made = Sandbox(limits=limits.Limits(timeout=600), tools=tools)
    with scope.of(77), pytest.raises(_dspex.RunCancelled), made:
        made.execute("cancel()\nwhile True: pass")
    assert made.last.status == "cancelled" and made._child is None


def test_values_and_errors_need_not_be_json(sandbox):
    """R122: what code answers or raises arrives, whatever it is."""
    assert sandbox.execute("{'a': (1, {2}), 'b': None}") == {"a": [1, [2]], "b": None}
    assert sandbox.execute("2 ** 100") == str(2**100)
    assert sandbox.execute("[float('nan')]") == "[nan]"
    error, run = stopped(sandbox, "def f():\n    raise ValueError(object())\nf()")
    assert run.status == "failed" and "<object object" in error
    assert "line 3, in <module>" in run.stderr and "_pyodide" not in run.stderr


def test_execute_code_tells_all(call):
    """R118, R121, R122: one piece of code with limits, files, variables."""
    answer = call(
        "execute_code",
        {
            "code": "print(open('in.txt').read())\nopen('out.txt', 'w').write('made')\nfactor * 2",
            "files": {"in.txt": "given"},
            "variables": {"factor": 21},
            "timeout": 5,
            "memory_mb": 128,
        },
    )["result"]
    assert answer["status"] == "ok" and answer["result"] == 42
    assert answer["stdout"] == "given\n" and answer["stderr"] == ""
    assert answer["files"] == [{"name": "out.txt", "size": 4, "text": "made"}]
    assert answer["limits"] == {"timeout": 5.0, "memory_mb": 128}
    assert "unsafe" not in answer


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"code": " "}, "invalid_argument"),
        ({"code": "1", "timeout": -1}, "invalid_option"),
        ({"code": "1", "memory_mb": "lots"}, "invalid_option"),
        ({"code": "1", "interpreter": "locale"}, "unknown_interpreter"),
        ({"code": "1", "files": {"../x": ""}}, "invalid_argument"),
    ],
)
def test_bad_requests_are_refused(call, arguments, kind):
    """R118: a request that makes no sense gets one sentence."""
    assert call("execute_code", arguments)["error"]["type"] == kind


def test_the_local_interpreter_is_marked_unsafe(call):
    """R118: only on explicit request, and every account of it says so."""
    answer = call("execute_code", {"code": "print(6 * 7)", "interpreter": "local"})["result"]
    assert answer["stdout"].strip() == "42" and answer["interpreter"] == "local"
    assert answer["unsafe"] is True and "unsafe" in answer["notes"][0]


def test_local_code_is_limited_in_time(call):
    """R119: also outside the sandbox."""
    arguments = {"code": "while True: pass", "interpreter": "local", "timeout": 0.2}
    assert call("execute_code", arguments)["result"]["status"] == "timeout"


def test_nothing_is_left_behind(worker, sandbox):
    """R121: with all sandboxes ended there is no folder and no process of them."""
    from dspex_worker.sandbox.spare import SPARES

    SPARES.drop()
    sandbox.shutdown()
    SPARES.drop()
    # Whatever was on its way has been started, and ended, before this is done.
    SPARES._starter.submit(int).result(timeout=60)
    assert _own_children() == []


def _own_children():
    """Sandboxes of this process: their folders are named on the command line."""
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                name, rest = file.read().split(") ", 1)
        except OSError:
            continue
        if rest.split()[1] == str(os.getpid()) and name.endswith("deno"):
            found.append((path, rest[:60]))
    return found


def _is_running(pid):
    return os.path.exists(f"/proc/{pid}")
