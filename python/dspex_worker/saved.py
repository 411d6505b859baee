"""Programs in files: plain JSON; a pickle only where its very bytes are trusted (R113)."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import dspy

from . import programs, serialize
from .errors import Refusal, first_line
from .kernel import shell

_FORMAT = "dspex-program"
_VERSION = 1
_PICKLES = (".pkl", ".pickle")


def save(program: Any, path: Any) -> dict[str, Any]:
    """Write a program's definition with its state as it is now."""
    definition = program if isinstance(program, dict) else None
    found = programs.get(program)
    if definition is None:
        definition = dict(programs.describe(found, str(program)))
    if definition.get("unportable"):
        raise Refusal(
            "unportable_program",
            f"`{definition.get('name')}` cannot be saved: {definition['unportable']}",
            hint="`create_program` makes programs that can",
        )
    kept = {**definition, "state": programs.state_of(found)}
    whole = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "dspy": dspy.__version__,
        "program": serialize.plain(kept),
    }
    target = Path(str(path)).expanduser()
    if target.suffix.lower() in _PICKLES:
        raise Refusal("invalid_path", "programs are saved as JSON", hint="end the name in `.json`")
    data = (json.dumps(whole, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    _write(target, data)
    return {"path": str(target.resolve()), "hash": hashlib.sha256(data).hexdigest()}


def load(arguments: dict[str, Any]) -> dict[str, Any]:
    """The definition in a file, built once to see that it can be."""
    path = Path(str(arguments.get("path") or "")).expanduser()
    if path.is_dir() and (path / "program.pkl").is_file():
        return _whole_pickle(path, arguments)
    if not path.is_file():
        raise Refusal(
            "unknown_file",
            f"there is no file `{path}`",
            hint=f"paths are relative to `{Path.cwd()}`",
            path=str(path),
        )
    if path.suffix.lower() in _PICKLES:
        _need_trust(path, arguments)
        return _state(path, arguments)
    try:
        data = json.loads(path.read_bytes())
    except ValueError as error:
        raise Refusal(
            "invalid_json", f"`{path}` is not JSON: {first_line(error)}", path=str(path)
        ) from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        return _state(path, arguments)
    version = data.get("format_version")
    if version != _VERSION or not isinstance(data.get("program"), dict):
        raise Refusal(
            "newer_format",
            f"`{path}` has format version {version}; this workbench reads {_VERSION}",
            hint="use a newer dspex-tui",
        )
    definition = {**data["program"], "version": 1}
    if arguments.get("name"):
        definition["name"] = str(arguments["name"])
    programs.build(definition)
    return definition


def _state(path: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """A state that DSPy saved: it names no signature and no module."""
    if not arguments.get("module"):
        raise Refusal(
            "missing_argument",
            f"`{path.name}` holds a state only: say its `module` and `signature`",
            hint='{"path": …, "module": "ChainOfThought", "signature": "question -> answer"}',
        )
    name = str(arguments.get("name") or path.stem)
    definition = dict(programs.define({**arguments, "name": name}))
    made = programs.build(definition)
    try:
        made.load(str(path), allow_pickle=path.suffix.lower() in _PICKLES)
    except (KeyError, ValueError, TypeError) as error:
        raise Refusal(
            "invalid_state",
            f"`{path.name}` is no state of this module: {first_line(error)}",
            hint="`module` and `signature` must be those it was saved with",
        ) from error
    return {**definition, "state": programs.state_of(made)}


def _whole_pickle(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    _need_trust(folder / "program.pkl", arguments)
    made = dspy.load(str(folder), allow_pickle=True)
    name = str(arguments.get("name") or folder.name)
    definition = dict(programs.describe(made, name))
    if definition.get("unportable"):
        # It lives in the kernel under its name, and nowhere else.
        shell.namespace()[name] = made
    return definition


def _need_trust(path: Path, arguments: dict[str, Any]) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if str(arguments.get("trust") or "").lower() != digest:
        raise Refusal(
            "untrusted_pickle",
            f"`{path}` is a pickle: loading it runs whatever code it holds",
            hint=f'if you trust it, say so: {{"trust": "{digest}"}}',
            hash=digest,
        )


def _write(target: Path, data: bytes) -> None:
    """Whole or not at all."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=target.parent, prefix=".dspex-")
        with os.fdopen(number, "wb") as file:
            file.write(data)
        os.replace(name, target)
    except OSError as error:
        raise Refusal(
            "unwritable_file", f"`{target}` cannot be written: {first_line(error)}"
        ) from error
