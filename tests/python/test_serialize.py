"""The serialiser: every kind there and back, whatever the value does."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import uuid

import pydantic
import pytest


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1


class Person(pydantic.BaseModel):
    name: str
    born: datetime.date
    friends: list["Person"] = []


class Loose(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    key: str = pydantic.Field(default="none", repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float = 0.0


Pair = collections.namedtuple("Pair", "left right")


class Text(str):
    def __str__(self):
        raise RuntimeError("no")


class Hostile:
    """Everything that can be asked of it raises."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("no")

    __iter__ = __len__ = __eq__ = __str__ = __bool__ = __hash__ = __repr__


class HostileList(list):
    def __iter__(self):
        raise RuntimeError("no")


class Endless(collections.abc.Mapping):
    def __getitem__(self, key):
        return key

    def __iter__(self):
        return iter(range(10**9))

    def __len__(self):
        return 10**9


def plain(value):
    """What travels."""
    from dspex_worker import serialize

    return json.loads(serialize.dumps(value))


def there_and_back(value):
    from dspex_worker import serialize

    return serialize.restore(serialize.loads(serialize.dumps(value)))


def same(one, other):
    """Equal, of the same class, all the way down."""
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        items = zip(one.items(), other.items(), strict=False)
        return len(one) == len(other) and all(same(k, n) and same(v, w) for (k, v), (n, w) in items)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


SINGLES = [
    None,
    True,
    0,
    -1,
    2**63,
    2**64,
    -(2**200),
    1 << 50_000,
    0.1,
    -0.0,
    1e308,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "snow ☃ 😀",
    "\x1b[31m\x00",
    "half \ud800 pair",
    b"",
    b"\xff\x00",
    bytearray(b"ab"),
    (),
    (1, (2,)),
    {1, 2},
    frozenset({"a"}),
    range(1, 10, 2),
    1 + 2j,
    complex(math.inf, 0),
    datetime.datetime(2024, 1, 2, 3, 4, 5, 6),
    datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc),
    datetime.date(2024, 2, 29),
    datetime.time(23, 59),
    datetime.timedelta(days=-1, microseconds=1),
    decimal.Decimal("1.10"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=5),
    pathlib.Path("/a/b"),
    pathlib.PureWindowsPath("c:/a"),
    Colour.RED,
    Colour.BLUE,
    Level.LOW,
    Point(1.5, math.inf),
    Pair("a", [1]),
    Person(name="Ann", born="1990-01-01", friends=[Person(name="Bo", born="1991-01-01")]),
    Loose(more={"a": (1,)}),
    int,
    Person,
    {"_type": "float", "value": "mine"},
    {"_type": 3},
    {1: "a", (2, 3): "b", None: "c", 1.5: "d"},
    {"half \ud800": 1},
    {"a": {"b": [{"c": None}]}},
]


@pytest.mark.parametrize("value", SINGLES, ids=lambda value: type(value).__name__)
def test_each_kind_comes_back(worker, value):
    """R49, R51: each kind, alone and inside others, comes back equal and of its class."""
    assert same(there_and_back(value), value)
    assert same(there_and_back({"a": [value, (value,)]}), {"a": [value, (value,)]})


def made_up(chance, depth):
    """A value of chance."""
    if depth == 0 or chance.random() < 0.4:
        return chance.choice(SINGLES)
    size = chance.randrange(4)
    parts = [made_up(chance, depth - 1) for _ in range(size)]
    keys = [chance.choice(["a", "_type", "é", 1, (2,), None, b"k"]) for _ in range(size)]
    shape = chance.randrange(4)
    if shape == 0:
        return parts
    if shape == 1:
        return tuple(parts)
    if shape == 2:
        return dict(zip(keys, parts, strict=True))
    return Pair(parts, {f"k{at}": part for at, part in enumerate(parts)})


def test_values_of_chance_come_back(worker):
    """R49: property: whatever is put together of the kinds comes back, read by any reader."""
    from dspex_worker import serialize

    chance = random.Random(7)
    for _ in range(1500):
        value = made_up(chance, 4)
        data = serialize.dumps(value)
        assert same(serialize.restore(json.loads(data)), value), data
        # What was read is written as the same again: nothing is tagged twice.
        assert serialize.dumps(serialize.restore(serialize.loads(data))) == data


def test_json_stays_as_it_is(worker):
    """R49: what is JSON is not touched."""
    value = {"a": [1, 2.5, None, True, {"b": "c"}]}
    from dspex_worker import serialize

    assert plain(value) == value
    assert serialize.plain(value) is value, "what is JSON already is not copied"


def test_dspys_own(worker):
    """R48, R51: examples, predictions, images, history come back; private fields stay."""
    import dspy

    image = dspy.Image("data:image/png;base64,iVBORw0KGgo=")
    history = dspy.History(messages=[{"q": "a", "n": 1}])
    example = dspy.Example(q="x", picture=image).with_inputs("q")
    back = there_and_back([example, dspy.Prediction(a=history), image, history])
    assert back[0] == example and back[0].inputs().keys() == ["q"]
    assert type(back[1]) is dspy.Prediction and back[1].a == history
    assert back[2] == image and back[3] == history
    assert plain(image)["class"] == "dspy.adapters.types.image:Image"
    hidden = dspy.Prediction(a=1, _secret=2, dspy_uuid="u")
    from dspex_worker import serialize

    assert serialize.result(hidden) == {"a": 1} and serialize.result(3) == {"result": 3}
    assert plain(dspy.Predict("q -> a"))["class"] == "dspy.predict.predict:Predict"
    assert plain(dspy.Signature("q -> a"))["_type"] == "class"


def test_nothing_raises(worker, monkeypatch):
    """R51: hostile objects, cycles and what has no end give a marker that names the class."""
    cyclic = []
    cyclic.append(cyclic)
    many = [[]]
    for _ in range(64):
        many = [many, many]
    deep = []
    for _ in range(5000):
        deep = [deep]
    value = [Hostile(), cyclic, deep, HostileList([1]), Text("x"), Endless(), ValueError("bad")]
    hostile, cycle, _, listed, text, endless, error = plain(value)
    assert hostile["_type"] == "object" and hostile["class"].endswith(":Hostile")
    assert "raised RuntimeError" in hostile["text"]
    assert cycle[0]["_type"] == "cycle" and listed == [1] and text == "x"
    assert endless["_type"] in ("object", "dict") and error["text"] == "bad"
    from dspex_worker import serialize
    from dspex_worker.serialize import encode

    # The native module looks through millions in no time; its stand-in does not.
    monkeypatch.setattr(encode, "_MOST_WALKED", 20_000)
    monkeypatch.setattr(encode, "_MOST_IN_VAIN", 20_000)
    assert json.dumps(serialize.plain(many)).count("truncated") > 0
    assert json.dumps(plain({"deep": deep})).count("truncated") == 1
    assert plain({"a": Hostile, "b": {Hostile: 1}})["a"]["_type"] == "class"


def test_what_a_repr_hides_stays_hidden(worker):
    assert "hunter2" not in json.dumps(plain(Loose(key="hunter2")))
    assert there_and_back(Loose(key="hunter2")).key == "none"


def test_reading_runs_nothing(worker, tmp_path, monkeypatch):
    """A tag names a class of a loaded module, and of the right sort; anything else stays data."""
    from dspex_worker import serialize

    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for path in ("trap:Trap", "subprocess:Popen", "os:system", "builtins:int", "nowhere:X", 3):
        for tag in ("model", "dataclass", "enum", "namedtuple"):
            data = {"_type": tag, "class": path, "fields": {"args": ["false"]}, "name": "x"}
            assert serialize.restore(data) == data
            assert json.loads(serialize.dumps(serialize.restore(data))) == data


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "complex128", "<U3", "S2", "object"])
@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (0, 2), (300, 100)])
def test_arrays_round_trip(worker, dtype, shape):
    """R50: of each type and shape, there and back."""
    numpy = pytest.importorskip("numpy")
    array = (numpy.arange(math.prod(shape)) % 7).astype(dtype).reshape(shape)
    packed = plain(array)
    assert packed["_type"] == "ndarray" and packed["shape"] == list(shape)
    back = there_and_back(array)
    if array.size > 10_000 and dtype == "object":
        assert packed["omitted"] and len(packed["head"]) == 100
        return
    assert back.dtype == array.dtype and back.shape == array.shape and (back == array).all()


def test_without_numpy():
    """R50: where numpy and pandas are not installed, all else is encoded; arrays stay data."""
    script = """
import datetime, importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("numpy", "pandas"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
import fake_native
fake_native.install()
from dspex_worker import serialize
value = {"a": (1, 2), "when": datetime.date(2024, 1, 2), "wide": 2**70, "rows": [{"n": 1}]}
assert serialize.restore(serialize.loads(serialize.dumps(value))) == value
array = {"_type": "ndarray", "dtype": "int64", "shape": [2], "data": [1, 2]}
assert serialize.restore(array) == array
assert serialize.loads(serialize.dumps(serialize.restore(array))) == array
assert not {"numpy", "pandas"} & set(sys.modules)
print("whole")
"""
    here = pathlib.Path(__file__).parent
    folders = os.pathsep.join(map(str, (here, here.parent.parent / "python")))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stdout == "whole\n", done.stderr


def test_numpys_scalars_and_times(worker):
    """R50: scalars, dates, wide floats; of the huge a part."""
    numpy = pytest.importorskip("numpy")
    assert plain([numpy.float64(1.5), numpy.int8(3), numpy.bool_(True)]) == [1.5, 3, True]
    days = numpy.array(["2024-01-02", "NaT"], dtype="datetime64[D]")
    back = there_and_back(days)
    assert back.dtype == days.dtype and back[0] == days[0] and numpy.isnat(back[1])
    wide = numpy.array([1, 2], dtype=numpy.longdouble) / 3
    assert (there_and_back(wide) == wide).all()
    huge = plain(numpy.zeros(20_000_000, dtype="int8"))
    assert huge["omitted"] and huge["shape"] == [20_000_000]


def test_tables_round_trip(worker):
    """R51: a pandas table comes back with its columns, types and labels."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {
            "n": [1, 2, 3],
            "x": [0.5, None, math.inf],
            "t": ["a", None, "c"],
            "d": pandas.to_datetime(["2024-01-01", "2024-01-02", None]),
            "k": pandas.Categorical(["u", "v", "u"]),
            "i": pandas.array([1, None, 3], dtype="Int64"),
        },
        index=["r1", "r2", "r3"],
    )
    pandas.testing.assert_frame_equal(there_and_back(table), table)
    pandas.testing.assert_series_equal(there_and_back(table["x"]), table["x"])
    pandas.testing.assert_frame_equal(there_and_back(table.iloc[:0]), table.iloc[:0])
    stamp = pandas.Timestamp("2024-01-01T00:00:00.000000001Z")
    assert there_and_back(stamp) == stamp and there_and_back(pandas.NaT) is pandas.NaT
    long = plain(pandas.DataFrame({"n": range(600_000)}))
    assert long["omitted"] and long["len"] == 600_000 and len(long["data"][0]) == 100


def test_what_is_long_says_so(worker):
    """R51, R58: 5 MB travels whole; far more is cut, with its length."""
    assert plain({"t": "x" * 5_000_000}) == {"t": "x" * 5_000_000}
    assert there_and_back(b"x" * 5_000_000) == b"x" * 5_000_000
    long = plain(bytes(20_000_000))
    assert long["omitted"] and long["len"] == 20_000_000
    assert plain("x" * 20_000_000).endswith("left out)")


class Drawing:
    def _repr_png_(self):
        return b"\x89PNG..."


def test_pictures_are_carried(worker):
    """R51: what can draw itself brings its picture, its kind and its size."""
    packed = plain(Drawing())
    assert packed["mime"] == "image/png" and packed["len"] == 7 and packed["data"]


def test_pieces_are_the_same_json(worker):
    """R55: a large dataset is encoded some rows at a time; the whole is what `dumps` writes."""
    from dspex_worker import serialize

    rows = [{"n": n, "t": ("a", n)} for n in range(12_345)]
    value = {"ok": True, "result": {"name": "d", "rows": rows, "one": {"_type": "x"}}}
    parts = list(serialize.pieces(value))
    assert b"".join(parts) == serialize.dumps(value)
    assert len(parts) > 20 and max(map(len, parts)) < 100_000
    for small in ([], {}, {"_type": 1}, {1: [0] * 6000}, 3):
        assert b"".join(serialize.pieces(small)) == serialize.dumps(small)
