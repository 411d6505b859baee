"""DSPy's modules as a table: which there are, their options, why some cannot be used.

The rows are in `modules.json`, which the workbench reads too. It makes nothing:
that is `modules`'.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

from .errors import Refusal, near_matches
from .sandbox import deno

Entry = dict[str, Any]
_NUMPY = ("KNN", "Embeddings", "EmbeddingsWithScores")
_KINDS = {
    "int": "a whole number",
    "number": "a number",
    "text": "text",
    "flag": "true or false",
    "object": "an object",
    "tools": "a list of tools",
    "module": "the name of a module",
    "metric": "a metric: a name, or `{file, function}`",
    "dataset": "the name of a dataset, or a list of rows",
    "corpus": "a list of texts, a file, or the name of a dataset",
    "embedder": "`words`, a function, or an embedding model",
    "lm": "an LM profile or model",
}


@functools.cache
def entries() -> dict[str, Entry]:
    """All rows by name, in the order of the table."""
    path = Path(__file__).with_name("modules.json")
    return {row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))}


def usable() -> list[str]:
    """Names of the modules that this DSPy has."""
    return [name for name, row in entries().items() if row["status"] != "unavailable"]


def listing() -> list[Entry]:
    """The rows as they stand in this environment (R10)."""
    return [_as_it_stands(row) for row in entries().values()]


def require(name: str) -> Entry:
    """The row of a module that can be used here; refused with what to use instead."""
    row = _as_it_stands(entries()[name])
    if row["status"] == "unavailable":
        raise Refusal("module_unavailable", f"{name} cannot be used here: {row['reason']}")
    return row


def check(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options without those that are null; refused by name where one is wrong (R36)."""
    row = entries()[name]
    known = {option["name"]: option for option in row["options"]}
    if name in ("BestOfN", "Refine"):
        options = {("N" if key == "n" else key): value for key, value in options.items()}
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        option = known.get(key)
        if option is None:
            # What a provider alone knows is passed on, but not what looks misspelt.
            near = near_matches(key, known)
            if not row.get("open") or near:
                raise _unknown_option(name, key, known, near)
        else:
            _check_value(name, option, value)
    for key, option in known.items():
        if option.get("required") and key not in given:
            raise Refusal(
                "missing_option",
                f"{name} needs the option `{key}`: {option['doc']}",
                hint=f"options: {', '.join(known)}",
                option=key,
            )
    return given


def check_lm_options(what: str, options: dict[str, Any]) -> None:
    """Refuse what looks like a misspelt LM option; others may be a provider's own."""
    known = lm_options()
    for key in options:
        near = [] if key in known else near_matches(key, known)
        if near:
            raise _unknown_option(what, key, known, near)


def lm_options() -> list[str]:
    """Names of the options of an LM call."""
    return [option["name"] for option in entries()["Predict"]["options"]]


def with_defaults(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Checked options over the table's defaults."""
    defaults = {option["name"]: option["default"] for option in entries()[name]["options"]}
    return {**defaults, **check(name, options)}


def _unknown_option(name: str, key: str, known: Any, near: list[str]) -> Refusal:
    listed = ", ".join(known)
    hint = f"did you mean `{near[0]}`?" if near else f"options: {listed}" if listed else ""
    text = f"{name} has no option `{key}`"
    return Refusal("unknown_option", text, hint=hint, near=near, option=key)


def _check_value(name: str, option: dict[str, Any], value: Any) -> None:
    kind = option["type"]
    wanted = _KINDS.get(kind, "")
    if kind == "int":
        least, most = option.get("least", 1), option.get("most")
        whole = isinstance(value, int) and not isinstance(value, bool)
        fits = whole and value >= least and (most is None or value <= most)
        wanted += f" from {least} to {most}" if most is not None else f" of {least} or more"
    elif kind == "number":
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif kind == "flag":
        fits = isinstance(value, bool)
    elif kind in ("text", "module"):
        fits = isinstance(value, str) and bool(value)
    elif kind == "object":
        fits = isinstance(value, dict)
    elif kind == "tools":
        fits = isinstance(value, (list, tuple, str)) or callable(value)
    elif kind in ("metric", "lm"):
        fits = isinstance(value, (str, dict)) or callable(value)
    elif kind == "embedder":
        fits = isinstance(value, str) or callable(value)
    elif kind in ("dataset", "corpus"):
        fits = isinstance(value, (str, list, dict))
    else:
        fits = True
    if not fits:
        raise Refusal(
            "invalid_option",
            f"the option `{option['name']}` of {name} must be {wanted}, not {_shown(value)}",
            hint=option["doc"],
            option=option["name"],
        )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else type(value).__name__


def _as_it_stands(row: Entry) -> Entry:
    options = {
        option["name"]: {key: value for key, value in option.items() if key != "name"}
        for option in row["options"]
    }
    shown = {**row, "options": options}
    missing = _missing(row["name"])
    if missing and "fallback" in options:
        shown.update(reason=f"answers without running code here: {missing}")
    elif missing:
        shown.update(status="unavailable", reason=missing)
    return shown


def _missing(name: str) -> str:
    """What a module needs that is not installed; empty if nothing."""
    if any(option["name"] == "interpreter" for option in entries()[name]["options"]):
        try:
            deno.runtime()
        except deno.Unavailable as error:
            return str(error)
    if name in _NUMPY and not _installed("numpy"):
        return "it needs numpy; install it with `%pip install numpy`"
    return ""


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
