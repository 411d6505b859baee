//! The Python both sides run: the same text in a plain interpreter and in a
//! cell of the workbench. Each prints one line of JSON.

/// Seconds a call of `Predict` on a server without latency; `{"ms": …, "cpu_ms": …}`.
pub(super) fn predict(base: &str, calls: u32) -> String {
    format!(
        r#"
{SETUP}
lm = dspy.LM("openai/stub", api_base={base:?}, api_key="bench", cache=False)
with dspy.context(lm=lm):
    predict = dspy.Predict("question -> answer")
    for i in range(30):
        predict(question=f"warm {{i}}")
    begun, cpu = time.perf_counter(), time.process_time()
    for i in range({calls}):
        predict(question=f"question {{i}}")
    ms = (time.perf_counter() - begun) * 1e3 / {calls}
    cpu_ms = (time.process_time() - cpu) * 1e3 / {calls}
print(json.dumps({{"ms": ms, "cpu_ms": cpu_ms}}))
"#
    )
}

/// Examples a second of `Evaluate` at 64 threads; `{"rate": …}`.
pub(super) fn evaluate(base: &str, examples: u32) -> String {
    format!(
        r#"
{SETUP}
lm = dspy.LM("openai/stub", api_base={base:?}, api_key="bench", cache=False)
data = [dspy.Example(question=f"q {{i}}", answer="42").with_inputs("question") for i in range({examples})]
metric = lambda example, prediction, trace=None: example.answer == prediction.answer
program = dspy.Predict("question -> answer")
with dspy.context(lm=lm):
    dspy.Evaluate(devset=data[:64], metric=metric, num_threads=64)(program)
    begun = time.perf_counter()
    result = dspy.Evaluate(devset=data, metric=metric, num_threads=64)(program)
    rate = {examples} / (time.perf_counter() - begun)
assert result.score == 100, result.score
print(json.dumps({{"rate": rate}}))
"#
    )
}

/// Calls a second of 64 threads, each waiting for its own; `{"rate": …}`. The best of
/// three rounds.
pub(super) fn together(base: &str) -> String {
    format!(
        r#"
{SETUP}
from concurrent.futures import ThreadPoolExecutor
lm = dspy.LM("openai/stub", api_base={base:?}, api_key="bench", cache=False)
rates = []
with ThreadPoolExecutor(64) as pool:
    for calls in (64, 2048, 2048, 2048):
        begun = time.perf_counter()
        answers = list(pool.map(lambda i: lm(f"question {{i}}")[0], range(calls)))
        rates.append(calls / (time.perf_counter() - begun))
        assert all("42" in answer for answer in answers)
print(json.dumps({{"rate": max(rates[1:])}}))
"#
    )
}

/// 2,500 calls of the LM that is selected, eight at a time.
pub(super) const DEMO_CALLS: &str = r#"
import dspy, random
from concurrent.futures import ThreadPoolExecutor
ask, base = dspy.Predict("question -> answer"), random.getrandbits(32)
with ThreadPoolExecutor(8) as pool:
    said = list(pool.map(lambda i: ask(question=f"What is {i} plus {base}?").answer, range(2500)))
assert len(said) == 2500 and all(said)
"#;

/// Milliseconds of a `Predict` whose LM answers inside Python at once, so that
/// only DSPy and tracing are measured; `{"ms": …}`. Best of five rounds.
pub(super) fn traced_predict(calls: u32) -> String {
    format!(
        r#"
{SETUP}
from dspy.lm15 import Message, Response, TextPart, Usage
class Engine:
    def complete(self, request):
        text = "[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]"
        return Response(id="r", model=request.model, message=Message.assistant([TextPart(text)]),
                        finish_reason="stop", usage=Usage(input_tokens=3, output_tokens=5))
    def close(self): pass
lm = dspy.LM("bench/engine", engine=Engine(), cache=False)
best = []
with dspy.context(lm=lm, trace=[]):
    predict = dspy.Predict("question -> answer")
    for _ in range(5):
        for i in range(50):
            predict(question="warm")
        cpu = time.thread_time()
        for i in range({calls}):
            predict(question="question")
        best.append((time.thread_time() - cpu) * 1e3 / {calls})
print(json.dumps({{"ms": min(best)}}))
"#
    )
}

const SETUP: &str = r#"
import json, os, time
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import dspy
dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
"#;

/// Microseconds to serialise a result of 1 MB, by the worker's serialiser and by
/// orjson alone: `{"text", "text_orjson", "rows", "rows_orjson"}`. Medians of 61,
/// taken in turn, of processor time: what else runs on the machine plays no part.
pub(super) const SERIALISE: &str = r#"
import json, statistics, time
import orjson
from dspex_worker import serialize
text = {"ok": True, "result": {"reasoning": "Step by step. " * 70_000, "answer": "é" * 10_000}}
rows = {"ok": True, "result": {"score": 87.5, "results": [
    {"index": i, "question": f"What is {i} times 7?", "answer": str(i * 7), "score": i / 7, "error": None}
    for i in range(10_500)]}}
told = {}
for name, value in (("text", text), ("rows", rows)):
    ours, theirs = [], []
    for _ in range(61):
        for encode, kept in ((serialize.dumps, ours), (orjson.dumps, theirs)):
            begun = time.thread_time()
            data = encode(value)
            kept.append(time.thread_time() - begun)
    assert 0.9e6 < len(data) < 1.2e6 and serialize.dumps(value) == data, len(data)
    told[name] = statistics.median(ours) * 1e6
    told[name + "_orjson"] = statistics.median(theirs) * 1e6
print(json.dumps(told))
"#;
