"""Python files of the user's: loaded once, and again when they change."""

from __future__ import annotations

import importlib.util
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import Refusal, first_line, import_hint, near_matches

_lock = threading.RLock()
_loaded: dict[str, tuple[tuple[int, int], ModuleType]] = {}


def absolute(file: Any) -> str:
    """The absolute path of a file that must be there."""
    path = Path(str(file)).expanduser()
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path(".")
        near = near_matches(path.name, [one.name for one in list(folder.glob("*.py"))[:200]])
        raise Refusal(
            "unknown_file",
            f"there is no file `{path}`",
            hint=f"did you mean `{near[0]}`?" if near else f"paths are relative to `{Path.cwd()}`",
            near=near,
            path=str(path),
        )
    return str(path.resolve())


def stamp(file: str) -> tuple[int, int]:
    """What changes when a file does."""
    status = Path(absolute(file)).stat()
    return status.st_mtime_ns, status.st_size


def load(file: str) -> ModuleType:
    """The module of a file as it is now; a fault is told with its line (R35)."""
    path = absolute(file)
    now = stamp(path)
    with _lock:
        kept = _loaded.get(path)
        if kept is not None and kept[0] == now:
            return kept[1]
        module = _execute(path)
        _loaded[path] = (now, module)
        return module


def _execute(path: str) -> ModuleType:
    name = f"dspex_file_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Refusal("invalid_file", f"`{path}` is not a Python file", path=path)
    module = importlib.util.module_from_spec(spec)
    folder = str(Path(path).parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        source = Path(path).read_text(encoding="utf-8-sig")
        # Compiled here: a cached compilation could be that of an older file.
        code = compile(source, path, "exec")
        # Dataclasses and pickles look their module up by name.
        sys.modules[name] = module
        exec(code, module.__dict__)
    except SyntaxError as error:
        raise _fault(path, error.lineno, error.msg, error) from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == path), None)
        raise _fault(path, line, f"{type(error).__name__}: {first_line(error)}", error) from error
    return module


def _fault(path: str, line: int | None, text: str, error: BaseException) -> Refusal:
    where = f"line {line} of `{Path(path).name}`" if line else f"`{Path(path).name}`"
    return Refusal(
        "invalid_file",
        f"{where}: {text}",
        klass="import" if isinstance(error, ImportError) else "invalid_input",
        hint=import_hint(error) or "mend the file; it is read again the next time it is used",
        path=path,
        line=line or 0,
    )
