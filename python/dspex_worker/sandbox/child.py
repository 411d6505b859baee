"""One Deno process: its working folder, its pipes, its end.

Every read and write has a deadline and sees a cancelled run. The folder is locked
while the process is in use, so that whoever finds one without a lock (the
workbench, after a crash) may remove it.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import deno
from .limits import MEGABYTE, Limits

PREFIX = "dspex-sandbox-"
# What Deno maps for itself before any code runs, with room to breathe.
_OVERHEAD = 896 * MEGABYTE
_READY_SECONDS = 60.0
_TICK = 0.1
_numbers = itertools.count(1)


class Gone(Exception):
    """The process ended."""


class Late(Exception):
    """The deadline is over."""


class TooMuch(Exception):
    """A message is longer than is let through."""


class Child:
    """A started sandbox."""

    def __init__(self, more: dict[str, list[str]] | None = None) -> None:
        found = deno.runtime()
        began = time.monotonic()
        self.folder, self._lock = _working_folder()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        try:
            words = deno.command(found, self.folder, more)
            self._process = subprocess.Popen(
                [*_launcher(), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=deno.environment(found, (more or {}).get("env", ())),
                bufsize=0,
            )
        except BaseException:
            self._remove_folder()
            raise
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._pending = bytearray()
        self._searched = 0
        try:
            self.ask("report", time.monotonic() + _READY_SECONDS)
        except BaseException:
            self.kill()
            raise
        self.start_ms = (time.monotonic() - began) * 1000

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def arm(self, limits: Limits) -> None:
        """Set the limits of the code that is sent next."""
        with contextlib.suppress(OSError, ValueError):
            most = _OVERHEAD + limits.memory_mb * MEGABYTE
            resource.prlimit(self.pid, resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))
        told = {"dspex": "arm", "timeout_ms": limits.timeout * 1000, "memory_mb": limits.memory_mb}
        self.write_line(json.dumps(told), time.monotonic() + 5)

    def ask(self, what: str, until: float) -> dict[str, Any]:
        """A request that our own part of the runner answers."""
        number = next(_numbers)
        self.write_line(json.dumps({"dspex": what, "id": number}), until)
        while True:
            line = self.read_line(until)
            if not line.startswith('{"dspex":'):
                continue
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if told.get("dspex") == number:
                    return told

    def write_line(self, line: str, until: float, check: Callable[[], None] | None = None) -> None:
        """Write one line; `Late` where the process does not read."""
        rest = memoryview(line.encode("utf-8", "surrogatepass") + b"\n")
        while rest:
            self._wait(self._in, select.POLLOUT, until, check)
            try:
                rest = rest[os.write(self._in, rest) :]
            except BlockingIOError:
                continue
            except (BrokenPipeError, OSError):
                raise Gone from None

    def read_line(
        self, until: float, check: Callable[[], None] | None = None, most: int = 16 * MEGABYTE
    ) -> str:
        """The next line; `check` is called now and then while there is none."""
        while True:
            end = self._pending.find(b"\n", self._searched)
            if end >= 0:
                line = self._pending[:end].decode("utf-8", "replace")
                del self._pending[: end + 1]
                self._searched = 0
                return line
            self._searched = len(self._pending)
            if self._searched > most:
                raise TooMuch
            self._wait(self._out, select.POLLIN, until, check)
            got = os.read(self._out, 1 << 18)
            if not got:
                raise Gone
            self._pending += got

    def _wait(self, fd: int, event: int, until: float, check: Callable[[], None] | None) -> None:
        poller = select.poll()
        poller.register(fd, event)
        while True:
            left = until - time.monotonic()
            if poller.poll(max(0.0, min(left, _TICK)) * 1000):
                return
            if check is not None:
                check()
            if left <= 0:
                raise Late

    def poll(self) -> int | None:
        """Its exit status, once it has ended."""
        return self._process.poll()

    def last_words(self) -> str:
        """The end of what it wrote to its standard error."""
        try:
            size = self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, size - 4000))
            return self._errors.read().decode("utf-8", "replace")
        except (OSError, ValueError):
            return ""

    def ended_how(self) -> str:
        """Why it ended, in few words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        status = self._process.returncode
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-status).name}"
        return f"status {status}"

    def kill(self) -> None:
        """End it and remove what it left; may be called again."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._remove_folder()

    # What DSPy calls it.
    terminate = kill

    def __del__(self) -> None:
        # Of an interpreter that nobody shut down.
        if getattr(self, "_lock", -1) >= 0 and hasattr(self, "_process"):
            self.kill()

    def wait(self) -> int:
        """Wait for its end."""
        return self._process.wait()

    def _remove_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _working_folder() -> tuple[Path, int]:
    """A fresh folder of this user's only, and its lock."""
    base = os.environ.get("TMPDIR") or "/tmp"
    fresh = tempfile.mkdtemp(prefix="dspex-new-", dir=base)
    lock = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # Only under its last name may others remove it, and by then it is locked.
    named = Path(base, PREFIX + Path(fresh).name.removeprefix("dspex-new-")).resolve()
    os.rename(fresh, named)
    return named, lock


def _launcher() -> list[str]:
    """The worker binary as the one who starts Deno: the process then dies with the worker."""
    own = "/proc/self/exe"
    with contextlib.suppress(OSError):
        if os.path.basename(os.readlink(own)).startswith("dspex-worker"):
            return [own, "--sandbox", str(os.getpid())]
    return []
