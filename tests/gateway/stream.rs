//! Streams: passed through as they come, recorded whole, replayed.

use dspex_tui::protocol::message::LmChunk;
use tokio::sync::mpsc;

use super::*;

fn streaming(base: &str) -> LmRequest {
    let body =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    LmRequest {
        stream: true,
        body: Body::Body(body.to_string()),
        ..chat(base, "hi")
    }
}

async fn collect(bench: &Bench, request: LmRequest) -> Vec<LmChunk> {
    let (tx, mut rx) = mpsc::channel(1);
    let gateway = bench.gateway.clone();
    tokio::spawn(async move { gateway.stream(request, tx).await });
    let mut chunks = Vec::new();
    while let Some(chunk) = rx.recv().await {
        chunks.push(chunk);
    }
    chunks
}

fn joined(chunks: &[LmChunk]) -> String {
    chunks
        .iter()
        .map(|chunk| match &chunk.body {
            Body::Body(text) => text.clone(),
            Body::BodyBase64(_) => panic!("not text"),
        })
        .collect()
}

#[tokio::test]
async fn a_stream_is_passed_on_recorded_and_replayed() {
    let pieces = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n",
        "data: [DONE]\n\n",
    ];
    let server = StubLm::start(move |_, _| Scripted::Pieces(pieces.map(str::to_owned).into()));
    let mut bench = Bench::new(GatewayOptions::default());
    let chunks = collect(&bench, streaming(&server.base())).await;
    assert_eq!(chunks[0].head.as_ref().unwrap().0, 200);
    assert!(chunks.last().unwrap().is_final && chunks.iter().filter(|c| c.is_final).count() == 1);
    assert_eq!(joined(&chunks), pieces.concat());
    let recorded = bench.exchanges().pop().unwrap();
    assert!(recorded.streamed);
    assert_eq!((recorded.input_tokens, recorded.output_tokens), (5, 2));
    let again = collect(&bench, streaming(&server.base())).await;
    assert_eq!(joined(&again), pieces.concat());
    assert_eq!(server.received().len(), 1);
}

/// A broken stream is a failure, with what had come on record; never a short answer.
#[tokio::test]
async fn a_broken_stream_says_so() {
    let server = StubLm::start(|_, _| Scripted::Broken("data: {\"choices\":[]}\n\n".into()));
    let mut bench = Bench::new(GatewayOptions::default());
    let chunks = collect(&bench, streaming(&server.base())).await;
    let last = chunks.last().unwrap();
    assert_eq!(last.failure.as_ref().unwrap().0, TransportFailure::Read);
    let recorded = bench.exchanges().pop().unwrap();
    assert!(recorded.error.is_some());
}

/// Whoever stops listening drops the call upstream.
#[tokio::test]
async fn a_dropped_receiver_drops_the_call() {
    let server = StubLm::start(|_, _| Scripted::Pieces(vec!["data: x\n\n".into(); 1000]));
    let bench = Bench::new(GatewayOptions::default());
    let (tx, rx) = mpsc::channel(1);
    drop(rx);
    bench.gateway.stream(streaming(&server.base()), tx).await;
    server.wait_idle().await;
}
