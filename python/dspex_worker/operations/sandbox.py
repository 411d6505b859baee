"""Code run by itself, in the sandbox."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput

from .. import recording, serialize
from ..errors import Refusal, first_line
from ..kernel import shell
from ..sandbox import account, choice
from ..sandbox.interpreter import Sandbox
from ..sandbox.limits import OPTIONS
from .registry import Job, operation

_FILES_SHOWN = 100
_TEXT_SHOWN = 4000


@operation("execute_code")
def execute_code(arguments: dict[str, Any], job: Job) -> dict[str, Any]:
    """Run a piece of code in an interpreter of its own, within limits (R118-R122)."""
    code = str(arguments.get("code") or "")
    if not code.strip():
        raise Refusal("invalid_argument", "there is no code to run")
    options = {name: arguments[name] for name in ("interpreter", *OPTIONS) if name in arguments}
    factory = choice.take(options, shell.namespace())
    files = arguments.get("files") or {}
    if files and factory.kind != "sandbox":
        raise Refusal("invalid_argument", "only the sandbox has a working folder for `files`")
    variables = arguments.get("variables") or {}
    interpreter = factory()
    try:
        with recording.record() as kept:
            answer = _carry_out(interpreter, code, variables, files)
        run = getattr(interpreter, "last", None) or account.CodeRun(code, factory.kind)
        told = run.plain()
        del told["code"]
        if isinstance(interpreter, Sandbox):
            told["files"] = _files(interpreter.folder, files)
    finally:
        interpreter.shutdown()
    if isinstance(answer, str) and answer == run.stdout:
        answer = None  # nothing but what was printed
    told["result"] = serialize.plain(answer)
    told["limits"] = factory.limits.plain()
    if kept.notes:
        told["notes"] = kept.notes
    return told


def _carry_out(
    interpreter: Any, code: str, variables: dict[str, Any], files: dict[str, Any]
) -> Any:
    try:
        if isinstance(interpreter, Sandbox):
            interpreter.start()
            _put(interpreter.folder, files)
        result = interpreter.execute(code, variables)
    except (CodeExecutionError, SyntaxError):
        if not hasattr(interpreter, "last"):
            raise
        return None  # the account of it says so
    except CodeInterpreterError as error:
        if isinstance(interpreter, Sandbox):
            raise Refusal(
                "sandbox_unavailable",
                first_line(error),
                klass="import",
                hint="see `dspex-tui doctor`",
            ) from error
        if not hasattr(interpreter, "last"):
            raise
        return None
    return result.output if isinstance(result, FinalOutput) else result


def _put(folder: Path | None, files: dict[str, Any]) -> None:
    for name, text in files.items():
        if Path(name).name != name or name in ("", ".", ".."):
            raise Refusal("invalid_argument", f"`{name}` is no plain file name")
        if not isinstance(text, str):
            raise Refusal("invalid_argument", f"the contents of `{name}` must be text")
        if folder is not None:
            (folder / name).write_text(text, encoding="utf-8")


def _files(folder: Path | None, given: dict[str, Any]) -> list[dict[str, Any]]:
    """What the code left in its working folder, before that goes."""
    if folder is None:
        return []
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    told: list[dict[str, Any]] = []
    for path in itertools.islice(found, _FILES_SHOWN):
        name, size = path.relative_to(folder).as_posix(), path.stat().st_size
        with path.open("rb") as file:
            text = file.read(_TEXT_SHOWN).decode("utf-8", "replace")
        if given.get(name) != text:
            told.append({"name": name, "size": size, "text": text})
    return told
