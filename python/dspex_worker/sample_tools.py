"""Three tools to begin with: documentation, code analysis, tests (R37)."""

from __future__ import annotations

import ast
import importlib.util
import os
import pydoc
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MOST = 6000
_TEST_SECONDS = 30
_TEST_BYTES = 1 << 30


def fetch_documentation(topic: str) -> str:
    """Documentation of an installed Python object by its dotted name, such as `dspy.ReAct`."""
    parts = topic.strip().split(".")
    if not all(part.isidentifier() for part in parts):
        raise ValueError(f"`{topic}` is no dotted name such as `json.dumps`")
    loaded = _loaded(parts)
    if loaded is not None:
        return _clip(pydoc.plain(pydoc.render_doc(loaded)))
    # What was not imported is read, not run.
    for end in range(len(parts), 0, -1):
        try:
            spec = importlib.util.find_spec(".".join(parts[:end])) if end == 1 else None
        except (ImportError, ValueError):
            spec = None
        if spec is not None and spec.origin and spec.origin.endswith(".py"):
            return _clip(_read(Path(spec.origin), parts[end:], topic))
    raise LookupError(f"nothing called `{topic}` is installed here")


def analyze_code(code: str) -> dict[str, Any]:
    """What a piece of Python defines and imports, how branched it is, and likely mistakes."""
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return {"ok": False, "error": f"line {error.lineno}: {error.msg}"}
    functions: list[dict[str, Any]] = []
    issues: list[str] = []
    classes: list[str] = []
    imported: dict[str, int] = {}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            branches = (ast.If, ast.For, ast.While, ast.Try, ast.BoolOp, ast.IfExp)
            complexity = 1 + sum(isinstance(inner, branches) for inner in ast.walk(node))
            functions.append({"name": node.name, "line": node.lineno, "complexity": complexity})
            for default in [*node.args.defaults, *node.args.kw_defaults]:
                if isinstance(default, (ast.List, ast.Dict, ast.Set)):
                    issues.append(f"line {node.lineno}: `{node.name}` has a mutable default")
        elif isinstance(node, ast.ClassDef):
            classes.append(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                imported[(alias.asname or alias.name).split(".")[0]] = node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            issues.append(f"line {node.lineno}: a bare `except` hides every error")
    issues += [
        f"line {line}: `{name}` is not used" for name, line in imported.items() if name not in used
    ]
    return {
        "ok": True,
        "lines": len(code.splitlines()),
        "functions": functions,
        "classes": classes,
        "imports": sorted(imported),
        "issues": issues,
    }


def run_tests(code: str, tests: str) -> dict[str, Any]:
    """Run pytest: `code` becomes `solution.py`, `tests` a test file beside it that imports it."""
    with tempfile.TemporaryDirectory(prefix="dspex-tests-") as folder:
        Path(folder, "solution.py").write_text(code, encoding="utf-8")
        Path(folder, "test_solution.py").write_text(tests, encoding="utf-8")
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": folder,
            "TMPDIR": folder,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TEST_SECONDS,
                preexec_fn=_limit,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return {"passed": False, "output": f"the tests took longer than {_TEST_SECONDS} s"}
        output = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
        return {"passed": done.returncode == 0, "output": _clip(output.replace(folder, "."))}


SAMPLES: dict[str, Callable[..., Any]] = {
    "fetch_documentation": fetch_documentation,
    "analyze_code": analyze_code,
    "run_tests": run_tests,
}


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_TEST_BYTES, _TEST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_TEST_SECONDS, _TEST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _loaded(parts: list[str]) -> Any:
    for end in range(len(parts), 0, -1):
        found: Any = sys.modules.get(".".join(parts[:end]))
        if found is None:
            continue
        for name in parts[end:]:
            found = getattr(found, name, None)
            if found is None:
                return None
        return found
    return None


def _read(path: Path, names: list[str], topic: str) -> str:
    node: Any = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
    for name in names:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        inside = (one for one in node.body if isinstance(one, kinds) and one.name == name)
        node = next(inside, None)
        if node is None:
            raise LookupError(f"`{path.name}` defines no `{name}`")
    return f"{topic}\n\n{ast.get_docstring(node) or 'It has no documentation.'}"


def _clip(text: str) -> str:
    return text if len(text) <= _MOST else text[:_MOST] + "\n…"
