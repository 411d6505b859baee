"""One hooked DSPy for all tests, as in a worker."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "python")]

import fake_native  # noqa: E402

NATIVE = fake_native.install()


@pytest.fixture(scope="session", autouse=True)
def worker(tmp_path_factory):
    """Start as the worker does, but return when `ready` was sent."""
    os.environ["IPYTHONDIR"] = str(tmp_path_factory.mktemp("ipython"))
    from dspex_worker import start

    start.run()
    return next(p for kind, _, p in NATIVE.sent if kind == "ready")


@pytest.fixture
def native(worker):
    NATIVE.reset()
    return NATIVE


@pytest.fixture
def call(native):
    """Carry out a request as a lane would; answers the payload of its answer."""
    from dspex_worker import lanes, serialize
    from dspex_worker.kernel import streams

    def ask(operation, arguments, run=1, cell=None, lm=True):
        streams.install()  # pytest puts its own in place for each test
        spec = {"profile": "demo", "model": "demo/demo", "params": {}} if lm else None
        request = {"operation": operation, "arguments": arguments, "run": run, "cell": cell}
        request["lm"] = spec
        lanes.carry_out((9, operation, serialize.dumps(request), run, cell))
        return [p for kind, number, p in native.sent if kind == "answer" and number == 9][-1]

    return ask
