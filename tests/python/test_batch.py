"""A program over a file of inputs."""

import json
import os
import types

import pytest

PROGRAM = {
    "name": "qa",
    "version": 1,
    "modules": ["Predict"],
    "signature": "question -> answer",
    "options": {},
    "state": None,
}


def echo(request):
    """Answers with the question; fails where it says so."""
    asked = question(request)
    if asked.startswith("refused"):
        error = json.dumps({"error": {"message": "no such model"}}).encode()
        return 400, [("content-type", "application/json")], error
    return f"[[ ## answer ## ]]\nre: {asked}\n\n[[ ## completed ## ]]"


@pytest.fixture
def batch(call, native, tmp_path):
    """Run a batch over these rows; answers the answer and the output's text."""

    def run(rows, source="in.jsonl", script=echo, **arguments):
        path = tmp_path / source
        text = rows if isinstance(rows, str) else "".join(json.dumps(r) + "\n" for r in rows)
        path.write_text(text)
        native.script = script
        out = tmp_path / "out.jsonl"
        given = {"program": PROGRAM, "input": str(path), "output": str(out), **arguments}
        answer = call("run_batch", given)
        return answer, out.read_text() if out.exists() else None

    return run


def questions(n):
    return [{"id": i, "question": f"q{i}"} for i in range(n)]


def test_rows_are_answered_in_order(batch, native, tmp_path):
    """R132: 1,000 rows on 16 threads, answers in the order of the rows, progress told."""
    answer, out = batch(questions(1000), num_threads=16, keep=["id"])
    assert answer["result"]["rows"] == 1000 and answer["result"]["failed"] == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["row"] for line in lines] == list(range(1000))
    assert all(line["output"] == {"answer": f"re: q{n}"} for n, line in enumerate(lines))
    assert all(line["kept"] == {"id": n} for n, line in enumerate(lines))
    told = [p for p in native.progress() if p["step"] == "rows"]
    assert told[0]["done"] == 0 and told[-1]["done"] == told[-1]["total"] == 1000
    assert not (tmp_path / "out.jsonl.part").exists()


def test_a_row_that_fails_has_its_error(batch):
    """R132: errors by row: a bad line, a missing input, a refusing server."""
    text = '{"question": "a"}\nnot json\n{"other": 1}\n[1]\n\n{"question": "refused"}\n'
    answer, out = batch(text + '{"question": "b"}\n')
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["ok"] for line in lines] == [True, False, False, False, False, True]
    assert "line 2 is not JSON" in lines[1]["error"]["message"]
    assert lines[2]["error"]["type"] == "missing_input"
    assert "line 4" in lines[3]["error"]["message"]
    assert answer["result"]["failed"] == 4 and len(answer["result"]["errors"]) == 4


def test_csv(batch):
    answer, out = batch('question\n"two\nlines, one field"\nq\n', source="in.csv")
    assert answer["result"]["rows"] == 2, answer
    assert [json.loads(line)["ok"] for line in out.splitlines()] == [True, True]


def test_a_stopped_batch_goes_on_where_it_was(batch, native, tmp_path):
    """R132: whatever stops it, done rows are not run again and the output is the same."""
    _, whole = batch(questions(120))
    out, part = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    asked, answers = [], 0

    def stopping(request):
        nonlocal answers
        asked.append(question(request))
        answers += 1
        if answers == 20:
            native.cancelled.add(1)
        return echo(request)

    for stop in range(3):
        native.cancelled.clear()
        asked, before, answers = [], set() if stop == 0 else done(out, part), 0
        answer, _ = batch(questions(120), script=stopping, overwrite=stop == 0)
        assert answer["error"]["class"] == "interrupted", answer
        assert not before & set(asked), "a row that was done was asked for again"
        assert len(done(out, part)) > len(before)
        # Killed in the middle of a write: both files end in a torn line.
        for path in (part, out):
            with path.open("ab") as file:
                file.write(b'{"row":9')
    native.cancelled.clear()
    before, answers = len(done(out, part)), 1000
    answer, again = batch(questions(120), script=stopping)
    assert answer["result"]["resumed"] == before and again == whole
    assert not part.exists()


def question(request):
    return request["messages"][-1]["content"].split("[[ ## question ## ]]\n")[1].split("\n")[0]


def done(*files):
    """The questions whose rows are whole in these files."""
    lines = [line for file in files for line in file.read_text().splitlines(keepends=True)]
    rows = [json.loads(line).get("row") for line in lines if line.endswith("\n")]
    return {f"q{row}" for row in rows if row is not None}


def test_rows_done_ahead_of_a_slow_one_are_kept(tmp_path):
    """R132: what was done out of order survives a kill, and is put in its place."""
    from dspex_worker.batch.ledger import Ledger

    out = tmp_path / "o.jsonl"
    ledger = Ledger(out, {"input": "x"}, False)
    for row in (3, 1, 4):
        ledger.put(row, row != 3, {"output": {"n": row}})
    assert out.read_bytes() == b""
    ledger.close()  # as a kill does
    again = Ledger(out, {"input": "x"}, False)
    assert [n for n in range(6) if again.has(n)] == [1, 3, 4] and again.done == 3
    again.put(0, True, {"output": {}})
    assert again.next == 2
    again.put(2, True, {"output": {}})
    assert again.next == 5 and again.failed == 1
    again.finish()
    assert [json.loads(line)["row"] for line in out.read_text().splitlines()] == [0, 1, 2, 3, 4]
    assert os.listdir(tmp_path) == ["o.jsonl"]


def test_notes_do_not_grow_for_ever(tmp_path):
    """R132: memory and notes stay bounded for many rows."""
    from dspex_worker.batch import ledger as ledgers

    ledger = ledgers.Ledger(tmp_path / "o.jsonl", {}, False)
    for row in range(0, 3000, 2):
        ledger.put(row + 1, True, {"output": "x" * 100})
        ledger.put(row, True, {"output": ""})
        assert ledger.notes.stat().st_size < 2 * ledgers._FEW_NOTES
    assert ledger.next == 3000 and not ledger._ahead
    ledger.finish()


def test_what_cannot_be_is_refused_before_any_call(batch, native, tmp_path):
    """R132: wrong file, wrong columns, an output that is there, another task."""
    refused = batch([{"query": 1}])[0]["error"]
    assert refused["type"] == "missing_input" and "query" in refused["recovery"]["hint"]
    assert batch(questions(1), keep="idd")[0]["error"]["recovery"]["near"] == ["id"]
    assert batch("")[0]["error"]["type"] == "empty_input"
    assert batch("[]", source="in.json")[0]["error"]["type"] == "unknown_format"
    missing = batch(questions(1), input=str(tmp_path / "inn.jsonl"))[0]["error"]
    assert missing["type"] == "unknown_file" and missing["recovery"]["near"]
    assert not native.calls
    assert batch(questions(3))[0]["ok"]
    assert batch(questions(3))[0]["error"]["type"] == "output_exists"
    assert batch(questions(4), overwrite=True)[0]["result"]["rows"] == 4
    native.cancelled.add(1)
    assert not batch(questions(5), overwrite=True)[0]["ok"]
    native.cancelled.clear()
    other = batch(questions(6))[0]["error"]
    assert other["type"] == "another_batch" and "input" in other["message"]


def test_too_many_errors_stop_it(batch):
    rows = [{"question": "refused"} for _ in range(50)]
    answer, _ = batch(rows, max_errors=3, num_threads=1)
    assert answer["error"]["type"] == "too_many_errors"
    assert len(answer["error"]["context"]["errors"]) == 4


def test_one_file_one_batch(tmp_path):
    from dspex_worker.batch.ledger import Ledger
    from dspex_worker.errors import Refusal

    first = Ledger(tmp_path / "o.jsonl", {}, False)
    with pytest.raises(Refusal) as refused:
        Ledger(tmp_path / "o.jsonl", {}, False)
    assert refused.value.kind == "output_in_use"
    first.close()


def test_rate_is_kept(batch, native, monkeypatch):
    """R132: rows start no faster than the rate says, by the clock that is asked."""
    import time

    from dspex_worker.batch import work

    starts = []
    original = work.Work._start
    monkeypatch.setattr(
        work.Work,
        "_start",
        lambda self, pool, row: (starts.append(time.monotonic()), original(self, pool, row)),
    )
    assert batch(questions(6), rate=1200)[0]["result"]["rows"] == 6
    assert starts[-1] - starts[1] >= 4 * 60 / 1200 - work._LOOK_S


def test_what_stood_still_long_ago_slows_nothing_down(monkeypatch):
    """R132: after a pause the rate is again that of the rows."""
    from dspex_worker.batch import work

    now = 100.0
    told = []
    monkeypatch.setattr(work.time, "monotonic", lambda: now)
    monkeypatch.setattr(work.link, "progress", lambda run, kind, **told_now: told.append(told_now))
    ledger = types.SimpleNamespace(done=0, failed=0)
    plan = work.Plan(None, None, [], 1, 0.0, None, 7, 1000)
    rows = work.Work(plan, ledger)
    for _ in range(50):
        now += 0.5
        ledger.done += 2
        rows._tell()
    assert told[-1]["per_second"] == 4.0
    now += 3600.0
    for _ in range(50):
        now += 0.5
        ledger.done += 2
        rows._tell()
    assert told[-1]["per_second"] == 4.0
    assert told[-1]["left_s"] == 200.0
