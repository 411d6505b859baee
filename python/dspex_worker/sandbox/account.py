"""What became of a piece of code: for spans, results and the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_SHOWN = 10_000


@dataclass
class CodeRun:
    """One piece of code and what it did."""

    code: str
    # `sandbox`, `local`, or the class of another interpreter.
    interpreter: str
    # False where the code could reach this machine's files and network.
    safe: bool = True
    # `ok`, `failed` (its own error), `timeout`, `memory`, `denied`, `output`, `crash`, `cancelled`.
    status: str = "ok"
    error: str = ""
    stdout: str = ""
    stderr: str = ""
    duration_ms: float = 0.0
    # Milliseconds waited for a sandbox; 0 where it was running already.
    start_ms: float = 0.0
    warm: bool = False
    # Megabytes that Python in the sandbox has taken so far.
    memory_mb: int = 0

    def plain(self) -> dict[str, Any]:
        """For results and spans: long texts are cut."""
        told: dict[str, Any] = {
            "interpreter": self.interpreter,
            "status": self.status,
            "code": cut(self.code),
            "stdout": cut(self.stdout),
            "stderr": cut(self.stderr),
            "duration_ms": round(self.duration_ms, 1),
            "start_ms": round(self.start_ms, 1),
            "warm": self.warm,
            "memory_mb": self.memory_mb,
        }
        if self.error:
            told["error"] = self.error
        if not self.safe:
            told["unsafe"] = True
        return told


def cut(text: str, most: int = _SHOWN) -> str:
    """A long text without its middle."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
