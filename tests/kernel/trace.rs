//! Spans: right parents across threads, tied to their exchanges, failures named.

use std::collections::HashSet;

use super::Lines;

/// R26, R137: each exchange hangs on an LM span inside the predictor that made it.
#[test]
fn spans_have_parents_and_exchanges() {
    let mut lines = Lines::new();
    lines.cell(
        "qa = dspy.ChainOfThought('question -> answer')\ndata = [dspy.Example(question=f'What is {i}+1?', answer=str(i+1)).with_inputs('question') for i in range(24)]\ndspy.Evaluate(devset=data, metric=lambda e, p, t=None: e.answer == p.answer, num_threads=8)(qa).score",
    );
    lines.cell(
        "dspy.BootstrapFewShot(metric=lambda e, p, t=None: e.answer == p.answer, max_bootstrapped_demos=2).compile(qa, trainset=data[:3])\nNone",
    );
    let lived = lines.live();
    let run = lived.run(0);
    let names = |kind: &str| run.spans.iter().filter(|span| span.kind == kind).count();
    assert_eq!(
        (names("evaluate"), names("module"), names("lm")),
        (1, 48, 24)
    );
    assert_eq!((names("adapter_format"), names("adapter_parse")), (24, 24));
    for span in &run.spans {
        let parent = span.parent.map(|place| run.spans[place].kind.as_str());
        match span.kind.as_str() {
            "evaluate" => assert_eq!(parent, None),
            "module" => assert!(matches!(parent, Some("module" | "evaluate")), "{span:?}"),
            _ => assert_eq!(parent, Some("module"), "{span:?}"),
        }
        assert!(
            span.end_ns.is_some_and(|end| end >= span.start_ns),
            "{span:?}"
        );
        assert_eq!(
            span.exchanges.len(),
            usize::from(span.kind == "lm"),
            "{span:?}"
        );
    }
    let ids: HashSet<&str> = run.spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), run.spans.len());
    assert_eq!(run.totals.calls + run.totals.hits, 24);
    let compile = &lived.run(1).spans[0];
    assert_eq!(
        (compile.kind.as_str(), compile.name.as_str()),
        ("compile", "BootstrapFewShot")
    );
}

/// R137: tools and failures are in the trace; user callbacks see the same ids.
#[test]
fn tools_failures_and_callbacks_are_seen() {
    let mut lines = Lines::new();
    lines.cell(
        "def stock_of(device: str) -> int:\n    '''How many of a device are in stock.'''\n    return {'osprey': 41}[device]\nagent = dspy.ReAct('question -> answer', tools=[stock_of], max_iters=3)\nagent(question='How many of the osprey are in stock?').answer",
    );
    let failed = lines.cell("class Bad(dspy.Module):\n    def forward(self):\n        raise ValueError('no such thing')\nBad()()");
    let called = lines.cell(
        "from dspy.utils.callback import BaseCallback\nids = []\nclass Watcher(BaseCallback):\n    def on_module_start(self, call_id, instance, inputs): ids.append(call_id)\n    def on_lm_end(self, call_id, outputs, exception=None): ids.append(call_id)\nwith dspy.context(callbacks=[Watcher()]):\n    dspy.Predict('question -> answer')(question='What is 1+1?')\nprint(' '.join(ids))",
    );
    let lived = lines.live();
    let tool = lived
        .run(0)
        .spans
        .iter()
        .find(|span| span.name == "stock_of")
        .unwrap();
    assert_eq!(
        (tool.kind.as_str(), &tool.inputs["device"]),
        ("tool", &"osprey".into())
    );
    assert_eq!(tool.outputs["result"], 41);
    assert_eq!(lived.raised(failed)["message"], "no such thing");
    let error = lived.run(1).spans[0].error.as_deref();
    assert_eq!(error, Some("ValueError: no such thing"));
    let spans = &lived.run(2).spans;
    let seen = lived.printed(called);
    let seen: Vec<&str> = seen.split_whitespace().collect();
    let id = |kind: &str| {
        spans
            .iter()
            .find(|span| span.kind == kind)
            .unwrap()
            .id
            .as_str()
    };
    assert_eq!(seen, [id("module"), id("lm")]);
}
