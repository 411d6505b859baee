"""Kinds of records: DSPy's examples and predictions, pydantic models, dataclasses, enums.

What a class keeps out of its `repr` is kept out of here too. Records are restored
field by field: no constructor runs.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
from typing import Any

from .kinds import Encode, Kind, Tagged, class_at, path_of, register


def enter() -> None:
    """Enter these kinds in the table."""
    register("dspy.primitives.example:Example", Kind("Example", _example, _unexample))
    register(
        "dspy.primitives.prediction:Prediction", Kind("Prediction", _prediction, _unprediction)
    )
    register("pydantic.main:BaseModel", Kind("model", _model, _unmodel))
    for kind in (_DATACLASS, _ENUM, _NAMEDTUPLE):
        register(f"({kind.tag})", kind)


def kind_of(cls: type) -> Kind | None:
    """The kind of classes that have no common ancestor, or another kind's."""
    if issubclass(cls, enum.Enum):
        return _ENUM
    if issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple):
        return _NAMEDTUPLE
    if dataclasses.is_dataclass(cls):
        return _DATACLASS
    return None


def fields_of(value: Any) -> dict[str, Any] | None:
    """The public fields of a prediction or example, in order; `None` for anything else."""
    kind = getattr(sys.modules.get("dspy"), "Example", None)
    if not isinstance(kind, type) or not issubclass(type(value), kind):
        return None
    store = vars(value).get("_store")
    if not isinstance(store, dict):
        return None
    return {str(k): v for k, v in store.items() if not str(k).startswith(("_", "dspy_"))}


def _example(value: Any, encode: Encode, depth: int) -> Any:
    packed = _prediction(value, encode, depth)
    inputs = vars(value).get("_input_keys")
    if inputs is not None:
        packed["inputs"] = sorted(str(name) for name in inputs)
    return packed


def _unexample(members: dict[str, Any]) -> Any:
    made = sys.modules["dspy"].Example(members["fields"])
    inputs = members.get("inputs")
    return made if inputs is None else made.with_inputs(*inputs)


def _prediction(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(fields=_fields(fields_of(value) or {}, encode, depth))


def _unprediction(members: dict[str, Any]) -> Any:
    return sys.modules["dspy"].Prediction(members["fields"])


def _model(value: Any, encode: Encode, depth: int) -> Any:
    hidden = {name for name, field in type(value).model_fields.items() if not field.repr}
    fields = {**vars(value), **(value.__pydantic_extra__ or {})}
    shown = {name: member for name, member in fields.items() if name not in hidden}
    return _of_class(value, _fields(shown, encode, depth))


def _unmodel(members: dict[str, Any]) -> Any:
    cls: Any = class_at(members["class"])
    base = sys.modules["pydantic"].BaseModel
    if not issubclass(cls, base):
        raise TypeError("not a model")
    fields = dict(members["fields"])
    given = set(fields)
    for name, field in cls.model_fields.items():
        if name not in fields:
            if field.is_required():
                raise ValueError(f"no field {name}")
            fields[name] = field.get_default(call_default_factory=True, validated_data={})
    known = {name: fields.pop(name) for name in cls.model_fields}
    if fields and cls.model_config.get("extra") != "allow":
        raise ValueError("fields that the class does not have")
    state = {
        "__dict__": known,
        "__pydantic_extra__": fields if cls.model_config.get("extra") == "allow" else None,
        "__pydantic_fields_set__": given,
        "__pydantic_private__": None,
    }
    made = cls.__new__(cls)
    base.__setstate__(made, state)
    if cls.__private_attributes__:
        made.model_post_init(None)
    return made


def _dataclass(value: Any, encode: Encode, depth: int) -> Any:
    shown = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.repr}
    return _of_class(value, _fields(shown, encode, depth))


def _undataclass(members: dict[str, Any]) -> Any:
    cls: Any = class_at(members["class"])
    fields = members["fields"]
    made = object.__new__(cls)
    known = dataclasses.fields(cls)
    if set(fields) - {field.name for field in known}:
        raise ValueError("fields that the class does not have")
    for field in known:
        if field.name in fields:
            member = fields[field.name]
        elif field.default is not dataclasses.MISSING:
            member = field.default
        elif field.default_factory is not dataclasses.MISSING:
            member = field.default_factory()
        else:
            raise ValueError(f"no field {field.name}")
        object.__setattr__(made, field.name, member)
    return made


def _enum(value: Any, encode: Encode, depth: int) -> Any:
    return Tagged(
        **{"class": path_of(type(value))}, name=value.name, value=encode(value.value, depth)
    )


def _unenum(members: dict[str, Any]) -> Any:
    cls: Any = class_at(members["class"])
    if not issubclass(cls, enum.Enum):
        raise TypeError("not an enum")
    return cls(members["value"]) if members["name"] is None else cls[members["name"]]


def _namedtuple(value: Any, encode: Encode, depth: int) -> Any:
    names = type(value)._fields
    members = dict(zip(names, tuple.__iter__(value), strict=True))
    return _of_class(value, _fields(members, encode, depth))


def _unnamedtuple(members: dict[str, Any]) -> Any:
    cls: Any = class_at(members["class"])
    if not issubclass(cls, tuple):
        raise TypeError("not a tuple")
    names: Any = vars(cls)["_fields"]
    return tuple.__new__(cls, [members["fields"][name] for name in names])


def _of_class(value: Any, fields: Any) -> Tagged:
    return Tagged(**{"class": path_of(type(value))}, fields=fields)


def _fields(fields: dict[str, Any], encode: Encode, depth: int) -> dict[str, Any]:
    return {name: encode(member, depth) for name, member in fields.items()}


_DATACLASS = Kind("dataclass", _dataclass, _undataclass)
_ENUM = Kind("enum", _enum, _unenum)
_NAMEDTUPLE = Kind("namedtuple", _namedtuple, _unnamedtuple)
