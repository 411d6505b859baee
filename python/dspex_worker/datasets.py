"""Datasets: rows of files and requests, as data and as DSPy examples."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import serialize
from .errors import Refusal, first_line, near_matches, unknown
from .kernel import shell
from .protocol import DatasetDef

_SHIPPED = Path(__file__).parent / "datasets"


def load(arguments: dict[str, Any]) -> DatasetDef:
    """The dataset a `load_dataset` request asks for (R110)."""
    name = arguments.get("name")
    if arguments.get("rows") is not None:
        rows, source, default = _rows(arguments["rows"], "rows"), "inline", "data"
    elif arguments.get("path"):
        path = path_of(str(arguments["path"]))
        rows, source, default = _read(path), str(path), path.stem
    elif arguments.get("shipped") or name:
        shipped = str(arguments.get("shipped") or name)
        known = {file.stem: file for file in sorted(_SHIPPED.glob("*.jsonl"))}
        if shipped not in known:
            raise unknown("dataset", shipped, known)
        rows, source, default = _read(known[shipped]), f"shipped:{shipped}", shipped
    else:
        raise Refusal("missing_argument", "say where the examples are: `path`, `rows` or `shipped`")
    limit = arguments.get("limit")
    if isinstance(limit, int) and limit > 0:
        rows = rows[:limit]
    made = make(str(name or default), rows, source, arguments.get("inputs"))
    seed = arguments.get("shuffle_labels")
    return made if seed is None else shuffle_labels(made, int(seed))


def make(name: str, rows: list[dict[str, Any]], source: str, inputs: Any = None) -> DatasetDef:
    """A dataset of rows; inputs are all fields but the last unless given."""
    if not rows:
        raise Refusal(
            "empty_dataset",
            "there are no examples in it",
            hint="a dataset has at least one object of fields",
        )
    fields = list(dict.fromkeys(key for row in rows for key in row))
    chosen = list(inputs) if inputs else (fields[:-1] or fields)
    for field in chosen:
        if field not in fields:
            raise unknown("field", str(field), fields)
    digest = _digest(rows)
    return {
        "name": name,
        "len": len(rows),
        "fields": fields,
        "inputs": chosen,
        "hash": digest,
        "source": source,
        "rows": rows,
    }


def of_examples(name: str, examples: Sequence[Any], source: str) -> DatasetDef:
    """A list of DSPy examples as data."""
    rows = [serialize.fields_of(example) or {} for example in examples]
    keys = getattr(examples[0], "_input_keys", None) if examples else None
    return make(
        name, rows, source, [key for key in (rows[0] if rows else {}) if key in (keys or ())]
    )


def examples(dataset: Any) -> list[Any]:
    """DSPy examples with their inputs, of a dataset, of rows, or of a name of the notebook."""
    import dspy

    if isinstance(dataset, str):
        value = shell.namespace().get(dataset)
        if not isinstance(value, list) or not value:
            raise unknown(
                "dataset",
                dataset,
                [
                    k
                    for k, v in shell.namespace().items()
                    if isinstance(v, list) and not k.startswith("_")
                ],
            )
        if isinstance(value[0], dspy.Example):
            return value
        dataset = value
    if isinstance(dataset, list):
        dataset = make("data", _rows(dataset, "dataset"), "inline")
    if not isinstance(dataset, dict) or "rows" not in dataset:
        raise Refusal("invalid_argument", "a dataset is a name, or a list of objects")
    rows = serialize.restore(_rows(dataset["rows"], "dataset"))
    inputs = dataset.get("inputs") or make("data", rows, "inline")["inputs"]
    return [
        dspy.Example(**{str(k): v for k, v in row.items()}).with_inputs(*inputs) for row in rows
    ]


def _digest(rows: list[dict[str, Any]]) -> str:
    """SHA-256 of the rows as JSON, a row at a time: they may be many."""
    digest = hashlib.sha256(b"[")
    for at, row in enumerate(rows):
        text = json.dumps(serialize.plain(row), sort_keys=True, ensure_ascii=False)
        digest.update((", " + text if at else text).encode("utf-8", "backslashreplace"))
    digest.update(b"]")
    return digest.hexdigest()


def shuffle_labels(dataset: DatasetDef, seed: int) -> DatasetDef:
    """The same inputs with outputs of other rows: a control that must not be learnable."""
    labels = [field for field in dataset["fields"] if field not in dataset["inputs"]]
    order = list(range(dataset["len"]))
    random.Random(seed).shuffle(order)
    rows = [
        {**row, **{f: dataset["rows"][other].get(f) for f in labels}}
        for row, other in zip(dataset["rows"], order, strict=True)
    ]
    return make(dataset["name"], rows, f"{dataset['source']} (labels shuffled)", dataset["inputs"])


def path_of(text: str) -> Path:
    """The file of this name; refused, with near matches, where there is none."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise _no_file(path)
    return path


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            "unreadable_file", f"`{path}`: {first_line(error)}", path=str(path)
        ) from error
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return [dict(row) for row in csv.DictReader(text.splitlines(keepends=True))]
    if suffix == ".json":
        data = _json(text, f"`{path}`")
        if isinstance(data, dict):
            data = next((value for value in data.values() if isinstance(value, list)), data)
        return _rows(data, str(path))
    if suffix in (".jsonl", ".ndjson"):
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        return _rows([_json(line, f"line {n} of `{path}`") for n, line in lines], str(path))
    raise Refusal(
        "unknown_format",
        f"`{path}` is not a .jsonl, .json or .csv file",
        hint="save the examples as JSON lines, one object a line",
        path=str(path),
    )


def _no_file(path: Path) -> Refusal:
    """Near matches by stem: that two files end in `.jsonl` makes them no neighbours."""
    folder = path.parent if path.parent.is_dir() else Path(".")
    stems = {file.stem: str(file) for file in list(folder.glob("*.*"))[:200]}
    near = [stems[stem] for stem in near_matches(path.stem, stems)]
    hint = f"did you mean `{near[0]}`?" if near else f"paths are relative to `{Path.cwd()}`"
    return Refusal(
        "unknown_file", f"there is no file `{path}`", hint=hint, near=near, path=str(path)
    )


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Refusal(
            "invalid_json",
            f"{where} is not JSON: {first_line(error)}",
            hint="mend that line; a .jsonl file has one JSON object a line",
        ) from error


def _rows(data: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(data, list):
        raise Refusal("invalid_dataset", f"{where} must be a list of objects")
    for index, row in enumerate(data):
        if not isinstance(row, dict):
            raise Refusal("invalid_dataset", f"row {index} of {where} is not an object")
    return data
