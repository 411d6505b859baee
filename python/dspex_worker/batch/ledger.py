"""What a batch has done, on disk: the output in order, and a note of what is ahead of it.

The output is only ever extended, by whole lines in the order of the input. A row that
is done before one that comes before it is written at once to `OUTPUT.part`, whose first
line says what is being done. So nothing that was done is lost when everything is
killed, and an output without a `.part` is complete.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import serialize
from ..errors import Refusal

_FAILED = b',"ok":false,'
# Notes are thrown away when none is needed any more, but not for every few rows.
_FEW_NOTES = 64 << 10
_MANY_NOTES = 16 << 20


class Ledger:
    """The output of one batch; `next` is the row that is to be written next."""

    def __init__(self, output: Path, task: dict[str, Any], overwrite: bool) -> None:
        self.output = output
        self.notes = output.with_name(output.name + ".part")
        self.next = 0
        self.failed = 0
        self._ahead: dict[int, bytes] = {}
        self._head = serialize.dumps(task) + b"\n"
        self._synced = time.monotonic()
        if output.exists() and not self.notes.exists() and not overwrite:
            raise Refusal(
                "output_exists",
                f"`{output}` is there already",
                hint="name another `output`, or say `overwrite`",
                path=str(output),
            )
        output.parent.mkdir(parents=True, exist_ok=True)
        self._part = os.open(self.notes, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._file = -1
        try:
            self._lock()
            self._begin(task, overwrite)
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A batch that just ended, or wrote its notes anew, has left us an old file.
            if os.fstat(self._part).st_ino != self.notes.stat().st_ino:
                raise BlockingIOError
        except OSError as error:
            raise Refusal(
                "output_in_use",
                f"another batch is writing `{self.output}`",
                hint="wait for it, cancel it, or name another `output`",
            ) from error

    def _begin(self, task: dict[str, Any], overwrite: bool) -> None:
        lines = _whole_lines(self._part)
        head = next(lines, None)
        fresh = head is None or overwrite
        if head is not None and not overwrite:
            _same_task(serialize.loads(head), task, self.output)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if fresh else 0)
        self._file = os.open(self.output, flags, 0o644)
        if fresh:
            os.ftruncate(self._part, 0)
            _append(self._part, self._head)
            os.fsync(self._part)
            return
        self._count_output()
        for line in lines:
            number = _row_of(line)
            if number is not None and number >= self.next:
                self._ahead[number] = line + b"\n"
        self._rewrite_notes()
        self._advance()

    def _count_output(self) -> None:
        end = 0
        for line in _whole_lines(self._file):
            if _row_of(line) != self.next:
                raise Refusal(
                    "damaged_output",
                    f"line {self.next + 1} of `{self.output}` is not row {self.next}",
                    hint="name another `output`, or say `overwrite` to start again",
                )
            end += len(line) + 1
            self.next += 1
            self.failed += _FAILED in line[:40]
        os.ftruncate(self._file, end)  # a line that was torn is written again

    @property
    def done(self) -> int:
        """Rows that need not be run again."""
        return self.next + len(self._ahead)

    def has(self, number: int) -> bool:
        """Whether this row is done."""
        return number < self.next or number in self._ahead

    def put(self, number: int, ok: bool, facts: dict[str, Any]) -> None:
        """Keep a row that is done."""
        line = serialize.dumps({"row": number, "ok": ok, **facts}) + b"\n"
        self._ahead[number] = line
        if number == self.next:
            self._advance()
        else:
            _append(self._part, line)
        if time.monotonic() - self._synced > 1.0:
            self._sync()

    def _advance(self) -> None:
        """Extend the output by all rows that now follow each other, in one write."""
        lines: list[bytes] = []
        while (line := self._ahead.pop(self.next, None)) is not None:
            lines.append(line)
            self.next += 1
            self.failed += _FAILED in line[:40]
        if lines:
            _append(self._file, b"".join(lines))
        size = os.lseek(self._part, 0, os.SEEK_END)
        if size > (_MANY_NOTES if self._ahead else _FEW_NOTES) + 2 * self._ahead_bytes():
            # Only once the output has what the notes say.
            self._sync()
            self._rewrite_notes()

    def _ahead_bytes(self) -> int:
        return sum(map(len, self._ahead.values()))

    def _rewrite_notes(self) -> None:
        size = os.lseek(self._part, 0, os.SEEK_END)
        kept = b"".join(self._ahead[number] for number in sorted(self._ahead))
        if size == len(self._head) + len(kept):
            return
        if not kept:
            os.ftruncate(self._part, len(self._head))
            return
        # A new file in the old one's place, so that a kill leaves one of both whole.
        fresh = self.notes.with_name(self.notes.name + ".new")
        made = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        fcntl.flock(made, fcntl.LOCK_EX)
        _append(made, self._head + kept)
        os.fsync(made)
        os.replace(fresh, self.notes)
        os.close(self._part)
        self._part = made

    def _sync(self) -> None:
        os.fsync(self._file)
        os.fsync(self._part)
        self._synced = time.monotonic()

    def finish(self) -> None:
        """All rows are written: the output is whole."""
        os.fsync(self._file)
        self.notes.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the files; what is there can be gone on with."""
        for descriptor in (self._file, self._part):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._part = -1


def _append(descriptor: int, data: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_END)
    while data:
        data = data[os.write(descriptor, data) :]


def _whole_lines(descriptor: int) -> Iterator[bytes]:
    """The lines that end, without their ends."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def _row_of(line: bytes) -> int | None:
    try:
        number = serialize.loads(line)["row"]
    except (ValueError, KeyError, TypeError):
        return None
    return number if isinstance(number, int) else None


def _same_task(before: Any, now: dict[str, Any], output: Path) -> None:
    before = before if isinstance(before, dict) else {}
    other = [name for name, value in now.items() if before.get(name) != value]
    if other:
        raise Refusal(
            "another_batch",
            f"`{output}` was begun with another {' and '.join(other)}",
            hint="go on as it was begun, name another `output`, or say `overwrite`",
            path=str(output),
        )
