"""The rows of a file, one at a time: JSON lines or CSV, never the whole file in memory.

It reads and counts; what is done with a row is in `work`.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import Refusal, first_line

_PIECE = 1 << 20


class Row(NamedTuple):
    """A row by its place, from 0, or what is wrong with it."""

    number: int
    fields: dict[str, Any]
    problem: str | None = None


class Source:
    """A `.jsonl`, `.ndjson` or `.csv` file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        suffix = path.suffix.lower()
        if suffix not in (".jsonl", ".ndjson", ".csv"):
            raise Refusal(
                "unknown_format",
                f"`{path}` is not a .jsonl or .csv file",
                hint="save the inputs as JSON lines, one object a line",
                path=str(path),
            )
        self._is_csv = suffix == ".csv"
        # A field may be as long as the file: DSPy's inputs are documents at times.
        csv.field_size_limit(1 << 30)

    def digest(self) -> str:
        """SHA-256 of the file."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
        return digest.hexdigest()

    def count(self) -> int:
        """How many rows there are, by reading the file once."""
        if not self._is_csv:
            with self.path.open("rb") as file:
                return sum(1 for line in file if line.strip())
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Row]:
        """The rows in the order of the file."""
        try:
            yield from self._csv() if self._is_csv else self._jsonl()
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            message = f"`{self.path}`: {first_line(error)}"
            raise Refusal("unreadable_file", message, path=str(self.path)) from error

    def _jsonl(self) -> Iterator[Row]:
        number = 0
        with self.path.open("rb") as file:
            for at, line in enumerate(file, 1):
                if not line.strip():
                    continue
                yield _of_line(number, at, line)
                number += 1

    def _csv(self) -> Iterator[Row]:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            for number, fields in enumerate(csv.DictReader(file)):
                if None in fields:
                    yield Row(number, {}, "the row has more values than the header has names")
                else:
                    yield Row(number, {k: v for k, v in fields.items() if v is not None})


def _of_line(number: int, at: int, line: bytes) -> Row:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return Row(number, {}, f"line {at} is not JSON: {first_line(error)}")
    if not isinstance(fields, dict):
        return Row(number, {}, f"line {at} is not a JSON object")
    return Row(number, fields)
