"""The text of a cell's value: only what is shown is ever made.

IPython writes the whole `repr` of a value, which for a gigabyte takes long and as
much memory again. Owns the plain text; other MIME types are the objects' own.
"""

from __future__ import annotations

import io
from typing import Any

# Most characters of a result's text that are shown and recorded.
MOST = 50_000
# Of them, those that are the value's own: the rest is for saying that there is more.
_ROOM = MOST - 100


class _Enough(Exception):
    """As much is written as is shown."""


class _Page(io.StringIO):
    """A text that ends where nobody reads on."""

    def write(self, text: str, /) -> int:
        room = _ROOM - self.tell()
        super().write(text[:room])
        if len(text) > room:
            raise _Enough
        return len(text)


def install(shell: Any) -> None:
    """Make this the plain text of the shell's values."""
    from IPython.core.formatters import PlainTextFormatter, catch_format_error
    from IPython.lib import pretty

    class Preview(PlainTextFormatter):
        @catch_format_error
        def __call__(self, obj: Any) -> str:
            page = _Page()
            printer = pretty.RepresentationPrinter(
                page,
                self.verbose,
                self.max_width,
                self.newline,
                max_seq_length=self.max_seq_length,
                singleton_pprinters=self.singleton_printers,
                type_pprinters=self.type_printers,
                deferred_pprinters=self.deferred_printers,
            )
            try:
                printer.pretty(obj)
                printer.flush()
            except _Enough:
                return page.getvalue() + "… (the rest is left out)"
            return page.getvalue()

    preview = Preview(parent=shell.display_formatter)
    for kind in (str, bytes, bytearray):
        preview.for_type(kind, _of_sequence)
    shell.display_formatter.formatters["text/plain"] = preview


def _of_sequence(value: Any, printer: Any, cycle: bool) -> None:
    # A class of the user's own may have a `__repr__` of its own.
    if type(value) not in (str, bytes, bytearray) or len(value) <= _ROOM:
        text, more = repr(value), ""
    else:
        unit = "characters" if isinstance(value, str) else "bytes"
        more = f"… ({len(value)} {unit} in all)"
        text = repr(value[:_ROOM])[: _ROOM - len(more)]
    for number, line in enumerate(text.splitlines()):
        if number:
            printer.break_()
        printer.text(line)
    printer.text(more)
