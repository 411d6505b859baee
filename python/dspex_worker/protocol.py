"""Shapes of the wire, as the workbench's `protocol::message` declares them.

Only names and types live here; sending is `link`'s, meaning is the operations'.
"""

from __future__ import annotations

from typing import Any, TypedDict

Json = dict[str, Any]


class FieldDef(TypedDict):
    """A field of a signature."""

    name: str
    type: str
    desc: str


class SignatureDef(TypedDict):
    """A signature as data."""

    inputs: list[FieldDef]
    outputs: list[FieldDef]
    instructions: str


class ProgramDef(TypedDict, total=False):
    """A program as data: enough to build it again in another worker."""

    name: str
    version: int
    modules: list[str]
    signature: SignatureDef | None
    options: Json
    state: Any
    parent: str | None
    optimizer: str | None
    score: float | None
    unportable: str | None
    lm: str | None


class DatasetDef(TypedDict):
    """A dataset with its rows."""

    name: str
    len: int
    fields: list[str]
    inputs: list[str]
    hash: str
    source: str
    rows: list[Json]


class NameInfo(TypedDict):
    """A name of the kernel's namespace."""

    name: str
    kind: str
    type: str
    summary: str
    cell: int | None
    registered: bool


class LmSpec(TypedDict, total=False):
    """What is needed to make a `dspy.LM` of a profile; never a key."""

    profile: str
    model: str
    params: Json


class Recovery(TypedDict, total=False):
    """How to go on after an error."""

    strategy: str
    hint: str
    near: list[str]


class ErrorObject(TypedDict):
    """The one error object of the product."""

    type: str
    # `class` is a keyword of Python, so this key is added by `errors.describe`.
    message: str
    traceback: list[str]
    context: Json
    recovery: Recovery
