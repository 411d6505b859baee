//! What comes back from the kernel: every kind of value, large ones, and none at all.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dspex_tui::session::state::hex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Lines;

/// R49, R51, R58: the real native module and the serialiser agree about every kind of
/// value: it comes back equal; 5 MB go both ways.
#[test]
fn every_kind_of_value_comes_back() {
    let mut lines = Lines::new();
    let cell = lines.cell(
        r#"
import datetime, math, dataclasses, pydantic
from dspex_worker import serialize
class Person(pydantic.BaseModel):
    name: str
@dataclasses.dataclass
class Point:
    x: float
values = [None, True, 0, -1, 2**63, 2**64, -2**70, 0.1, 1e308, "", "snow ☃", "half \ud800", b"\xff", (1, (2,)),
    {1, 2}, {1: 2}, {"_type": "mine"}, datetime.date(2024, 1, 2), Person(name="Ann"), Point(math.inf),
    {"deep": [[[{"a": [1.5, None]}]]]}, dspy.Example(q="x").with_inputs("q"), dspy.History(messages=[{"q": 1}]),
    "x" * 5_000_000]
wrong = [v for v in values if serialize.restore(serialize.loads(serialize.dumps([v]))) != [v]]
assert not wrong, str(wrong)[:500]
plain = {"a": [1, 2.5, None, True, {"b": "c"}]}
assert serialize.plain(plain) is plain
assert serialize.loads(serialize.dumps([math.nan]))[0]["value"] == "NaN"
many = [[]]
for _ in range(64):
    many = [many, many]
assert b"truncated" in serialize.dumps(many)
cyclic = []
cyclic.append(cyclic)
assert b"cycle" in serialize.dumps(cyclic)
len(values)
"#,
    );
    let shown =
        lines.cell("dspy.Prediction(person=Person(name='Ann'), when=datetime.date(2024, 1, 2))");
    let lived = lines.live();
    assert_eq!(lived.value(cell), "24");
    let outputs = lived.result(shown)["outputs"].to_string();
    assert!(outputs.contains(r#""_type":"date""#), "{outputs}");
}

/// R49: what the native module writes is what orjson writes, to the byte, and it leaves
/// to the careful walk what JSON cannot say.
#[test]
fn the_native_writer_agrees_with_orjson() {
    let mut lines = Lines::new();
    let cell = lines.cell(
        r#"
import _dspex, math, orjson, random, struct
chance = random.Random(3)
lengths = [*range(10), 15, 16, 17, 31, 32, 33, 63, 64, 100]
special = [*range(0x20), 0x22, 0x5c, 0x7f, 0x80, 0x1f600]
def text():
    out = "".join(chance.choice("abc é☃") for _ in range(chance.choice(lengths)))
    if out and chance.random() < 0.3:
        at = chance.randrange(len(out))
        out = out[:at] + chr(chance.choice(special)) + out[at + 1:]
    return out
def number():
    value = struct.unpack("d", chance.randbytes(8))[0]
    return value if math.isfinite(value) else chance.choice([0.0, -0.0, 1e16, 1e15, 1e-5, 5e-324])
def whole():
    return chance.choice([0, -1, 2**63 - 1, -2**63, chance.randrange(-10**6, 10**6), chance.randrange(-2**63, 2**63)])
def made(depth):
    kind = chance.randrange(8 if depth else 5)
    if kind < 5:
        return (text, number, whole, lambda: None, lambda: chance.random() < 0.5)[kind]()
    if kind < 7:
        return [made(depth - 1) for _ in range(chance.randrange(5))]
    return {text(): made(depth - 1) for _ in range(chance.randrange(6))}
def write(value, depth=100, most=20_000_000):
    return _dspex.write_json(value, depth, most)
for _ in range(4000):
    value = [made(4), made(3)]
    assert write(value) == orjson.dumps(value), value
long_key = "a key longer than one block of the writer, by far"
table = [{"index": n, long_key: "\x01" * 4000} for n in range(700)]
assert write(table) == orjson.dumps(table)
cyclic = []
cyclic.append(cyclic)
for other in (math.nan, math.inf, 2**63, -2**63 - 1, "half \ud800", {"_type": 1}, {1: 2}, {"half \ud800": 1},
              (1,), b"x", cyclic, "x" * 5000):
    assert write([1, {"a": other}]) is None, other
assert write([[1]], 2) == b"[[1]]" and write([[1]], 1) is None
assert write([0] * 99, 9, 100) and write([0] * 100, 9, 100) is None
"agreed"
"#,
    );
    assert_eq!(lines.live().value(cell), "'agreed'");
}

/// R55: a dataset of 100,000 examples travels from the worker whole and in order: what
/// arrived has the hash that the worker made of what it read.
#[test]
fn a_hundred_thousand_examples_travel() {
    let mut lines = Lines::new();
    let mut rows = String::new();
    for n in 0..100_000 {
        let _ = writeln!(
            rows,
            r#"{{"question": "What is {n} plus one, please?", "answer": "{}"}}"#,
            n + 1
        );
    }
    std::fs::write(lines.home.work().join("many.jsonl"), rows).unwrap();
    let loaded = lines.ask(
        "load_dataset",
        json!({"path": "many.jsonl", "name": "many"}),
    );
    let last = lines.ask("show_dataset", json!({"name": "many", "offset": 99_999}));
    let lived = lines.live();
    assert_eq!(lived.result(loaded)["len"], 100_000);
    let arrived = &lived.state.datasets["many"];
    let texts: Vec<String> = arrived.rows.iter().map(spaced).collect();
    let hash = Sha256::digest(format!("[{}]", texts.join(", ")));
    assert_eq!(arrived.rows.len(), 100_000);
    assert_eq!(lived.result(loaded)["hash"], hex(&hash));
    assert_eq!(
        lived.result(last)["rows"],
        json!([{"question": "What is 99999 plus one, please?", "answer": "100000"}])
    );
}

/// A row of plain words as Python writes it, keys in their order.
fn spaced(row: &Value) -> String {
    let row: BTreeMap<String, String> = serde_json::from_value(row.clone()).unwrap();
    let members: Vec<String> = row
        .iter()
        .map(|(key, text)| format!(r#""{key}": "{text}""#))
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// R56: a kernel that has 200 MB of examples in use and sends them grows by less than
/// 64 MB at the peak.
#[test]
fn a_dataset_of_200_mb_is_never_held_twice() {
    let mut lines = Lines::new();
    let cell = lines.cell(
        r#"
import gc
from dspex_worker import link
def peak():
    with open("/proc/self/status") as file:
        told = dict(line.split(":", 1) for line in file)
    return int(told["VmHWM"].split()[0]) // 1024
rows = [{"question": f"{n} " + "Step by step. " * 350, "answer": str(n)} for n in range(42_000)]
size = sum(len(row["question"]) for row in rows) // 1_000_000
gc.collect()
# The peak is forgotten, so that it is that of what follows.
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = peak()
link.send("log", {"level": "debug", "text": "sent", "rows": rows})
(size >= 200, peak() - before)
"#,
    );
    let lived = lines.live();
    let value = lived.value(cell);
    let grown = value
        .strip_prefix("(True, ")
        .and_then(|it| it.strip_suffix(')'))
        .unwrap();
    let grown: i64 = grown.parse().unwrap();
    println!("200 MB of examples sent, {grown} MB more at the peak");
    assert!(grown < 64, "{grown} MB more at the peak");
}

/// R102: an inspection that hangs is given up with a clear error; completion, the
/// next cell and the hung kernel's programs go on.
#[test]
fn a_request_that_hangs_is_given_up() {
    let mut lines = Lines::new();
    lines.home.set("DSPEX_REQUEST_DEADLINE", "2");
    lines.cell(
        "import time\nfrom dspex_worker.operations import kernel, registry\n\
         registry._known['inspect'] = lambda arguments, job: time.sleep(120)",
    );
    let hung = lines.ask("inspect", json!({"source": "len", "cursor": 3}));
    let next = lines.ask("parse_signature", json!({"signature": "q -> a"}));
    let cell = lines.cell("1 + 1");
    let lived = lines.live();
    let error = lived.error(hung);
    assert_eq!(error["type"], "operation_timeout");
    assert_eq!(error["class"], "timeout");
    assert_eq!(error["recovery"]["strategy"], "retry");
    assert!(!error["recovery"]["hint"].as_str().unwrap().is_empty());
    assert_eq!(lived.result(next)["outputs"][0]["name"], "a");
    assert_eq!(lived.value(cell), "2");
}
