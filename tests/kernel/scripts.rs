//! Pasted code with LMs of its own, answered by the demo LM.

use std::fs;

use serde_json::json;

use super::Lines;
use crate::support::project;

/// R138: three unmodified scripts run to their end and answer sensibly.
#[test]
fn unmodified_scripts_run_on_the_demo_lm() {
    let mut lines = Lines::without_lm();
    let mut script = |name: &str| {
        let path = project().join("tests/scripts").join(name);
        let source = fs::read_to_string(&path).unwrap();
        lines.ask(
            "run_cell",
            json!({"source": source, "file": path.display().to_string()}),
        )
    };
    let (rag, agent, callbacks) = (script("rag.py"), script("agent.py"), script("callbacks.py"));
    let lived = lines.live_with(&["--route-all-to", "demo"]);
    for place in [rag, agent, callbacks] {
        lived.value(place);
    }
    let printed = lived.printed(rag);
    assert!(printed.contains("before 100.0 after 100.0"), "{printed}");
    assert!(printed.contains("Gdansk"), "{printed}");
    let printed = lived.printed(agent);
    assert!(
        printed.contains("price_of: 199.0") && printed.contains("stock_of: 41"),
        "{printed}"
    );
    let printed = lived.printed(callbacks);
    assert!(
        printed.contains("modules 2 lm calls 4") && printed.contains("open 0 failures 0"),
        "{printed}"
    );
    assert_eq!(lived.state.totals.failures, 0);
}

/// Other providers' formats, streams, litellm and embeddings go through the same door.
#[test]
fn every_door_leads_to_the_gateway() {
    let mut lines = Lines::without_lm();
    let native = lines.cell(
        "for model in ('anthropic/claude-3-5-sonnet-20241022', 'gemini/gemini-2.0-flash', 'ollama_chat/llama3'):\n    with dspy.context(lm=dspy.LM(model)):\n        print(dspy.Predict('q -> a')(q='What is 2+3?').a)",
    );
    let streamed = lines.cell(
        "dspy.configure(lm=dspy.LM('openai/gpt-4o-mini'))\nlistener = dspy.streaming.StreamListener(signature_field_name='a')\nprogram = dspy.streamify(dspy.Predict('q -> a'), stream_listeners=[listener])\npieces = [piece async for piece in program(q='What is the capital of France?')]\nlen(pieces) > 2, pieces[-1].a",
    );
    let embedded =
        lines.cell("dspy.Embedder('openai/text-embedding-3-small')(['a', 'b']).shape[0]");
    let litellm = lines.cell("with dspy.context(lm=dspy.LM('mistral/mistral-small')):\n    print(dspy.Predict('q -> a')(q='What is 2+2?').a)");
    let lived = lines.live_with(&["--route-all-to", "demo"]);
    lived.value(native);
    assert_eq!(lived.printed(native), "5\n5\n5\n");
    assert_eq!(
        lived.value(streamed),
        "(True, 'The capital of France is Paris.')"
    );
    assert_eq!(lived.value(embedded), "2");
    lived.value(litellm);
    assert!(
        lived.printed(litellm).contains('4'),
        "{}",
        lived.printed(litellm)
    );
}
