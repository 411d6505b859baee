"""What generated code may take: time, memory, output, modules.

Defaults come from the environment, so that they can be set once for a machine:
`DSPEX_SANDBOX_TIMEOUT` (seconds), `DSPEX_SANDBOX_MEMORY_MB`.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..errors import Refusal

MEGABYTE = 1024 * 1024
# What would not work in there, or lead around the limits.
RESTRICTED = (
    "ctypes",
    "ftplib",
    "http.client",
    "http.server",
    "js",
    "multiprocessing",
    "pyodide_js",
    "smtplib",
    "socket",
    "ssl",
    "subprocess",
    "telnetlib",
    "urllib.request",
    "webbrowser",
)
OPTIONS = ("timeout", "memory_mb", "restricted_modules")


@dataclass(frozen=True)
class Limits:
    """The limits of one piece of code."""

    # Seconds of its own; waiting for the host's tools does not count.
    timeout: float = 30.0
    # Megabytes of Python's memory.
    memory_mb: int = 1024
    # Modules it may not import.
    restricted: tuple[str, ...] = RESTRICTED
    # Bytes of one message: what it prints and answers.
    output: int = 16 * MEGABYTE

    def with_options(self, options: dict[str, Any]) -> Limits:
        """These limits with some changed; refuses what makes no sense."""
        changed = self
        if options.get("timeout") is not None:
            changed = replace(changed, timeout=_number(options["timeout"], "timeout", 0.05, 3600))
        if options.get("memory_mb") is not None:
            # Below 64 MB Python itself has no room; Pyodide ends at 2 GB.
            changed = replace(
                changed, memory_mb=int(_number(options["memory_mb"], "memory_mb", 64, 2048))
            )
        if options.get("restricted_modules") is not None:
            names = options["restricted_modules"]
            names = [names] if isinstance(names, str) else names
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise Refusal("invalid_option", "restricted_modules must be a list of module names")
            changed = replace(changed, restricted=(*RESTRICTED, *names))
        return changed

    def plain(self) -> dict[str, Any]:
        """For results."""
        return {"timeout": self.timeout, "memory_mb": self.memory_mb}


def default() -> Limits:
    """The limits where nothing else is asked for."""
    asked = {
        "timeout": os.environ.get("DSPEX_SANDBOX_TIMEOUT") or None,
        "memory_mb": os.environ.get("DSPEX_SANDBOX_MEMORY_MB") or None,
    }
    try:
        return Limits().with_options({key: float(v) for key, v in asked.items() if v is not None})
    except ValueError:
        raise Refusal(
            "invalid_option",
            "DSPEX_SANDBOX_TIMEOUT and DSPEX_SANDBOX_MEMORY_MB must be numbers",
        ) from None


def refused_import(code: str, restricted: Iterable[str]) -> str | None:
    """The first restricted module that code imports; None also where it is no Python."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    banned = tuple(restricted)
    for name in _imported(tree):
        for module in banned:
            if name == module or name.startswith(module + "."):
                return module
    return None


def _imported(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _number(value: Any, name: str, least: float, most: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most:
        return float(value)
    raise Refusal(
        "invalid_option", f"{name} must be a number from {least:g} to {most:g}, not {value!r}"
    )
