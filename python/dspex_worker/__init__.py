"""The Python half of a dspex worker: cells, tracing, transport, DSPy operations.

It owns everything that needs DSPy's objects. It does not own processes, sockets,
keys or sessions: those are the workbench's, reached through the module `_dspex`.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Import DSPy, hook it, say `ready`, and serve until the workbench ends us."""
    from .start import run

    run()
