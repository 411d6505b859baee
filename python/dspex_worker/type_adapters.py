"""Pydantic's adapters of plain types, made once.

DSPy makes one for every field of every prompt, only to write a value as JSON: a
sixth of the time of a call. Those of built-in types never differ; any other type's
is made each time, as before, since a class of a cell may be defined again.
"""

from __future__ import annotations

from typing import Any

_PLAIN = (str, int, float, bool, bytes, type(None), list, dict, tuple, set)


def install() -> bool:
    """Replace DSPy's use of `TypeAdapter` by one that remembers; false for another DSPy."""
    try:
        from dspy.adapters import utils

        original: Any = utils.TypeAdapter
        known = {plain: original(plain) for plain in _PLAIN}
    except (ImportError, AttributeError):
        return False

    def type_adapter(annotation: Any, *args: Any, **options: Any) -> Any:
        # By identity: an annotation need be neither hashable nor a class.
        if type(annotation) is type and not args and not options:
            found = known.get(annotation)
            if found is not None:
                return found
        return original(annotation, *args, **options)

    utils.TypeAdapter = type_adapter  # type: ignore[assignment]
    return True
