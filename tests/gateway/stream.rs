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

/// Who watches a run sees tokens come; DSPy gets the answer of a plain request; the
/// record has the request as DSPy made it.
#[tokio::test]
async fn a_watched_call_is_streamed_and_put_together() {
    let piece = |text: &str| {
        format!(
            "data: {}\n\n",
            json!({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]})
        )
    };
    let pieces = vec![
        piece("Hel"),
        piece("lo"),
        format!(
            "data: {}\n\n",
            json!({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}})
        ),
        "data: [DONE]\n\n".to_owned(),
    ];
    let server = StubLm::start(move |_, request| {
        assert_eq!(request.json["stream"], true);
        Scripted::Pieces(pieces.clone())
    });
    let mut bench = Bench::new(GatewayOptions::default());
    let mut watching = bench.gateway.watch(RunId(1));
    let answer = bench.gateway.call(chat(&server.base(), "hi")).await;
    let whole: Value = serde_json::from_str(&text(&answer)).unwrap();
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello");
    let mut shown = String::new();
    for delta in watching.ready() {
        assert_eq!(delta.span.as_deref(), Some("1-7"));
        shown.push_str(&delta.text);
    }
    assert_eq!(shown, "Hello");
    let recorded = bench.exchanges().pop().unwrap();
    assert_eq!((recorded.input_tokens, recorded.output_tokens), (4, 2));
    let request = bench.journal.read_document(&recorded.request).unwrap();
    assert!(
        serde_json::from_slice::<Value>(&request)
            .unwrap()
            .get("stream")
            .is_none()
    );
}

/// A server that refuses to stream is asked plainly, and remembered.
#[tokio::test]
async fn a_server_that_refuses_to_stream_is_asked_plainly() {
    let server = StubLm::start(|_, request| match request.json.get("stream") {
        Some(_) => Scripted::error(400, "stream_options is not supported"),
        None => Scripted::chat("plain"),
    });
    let bench = Bench::new(GatewayOptions::default());
    let _watching = bench.gateway.watch(RunId(1));
    for text in ["one", "two"] {
        assert_eq!(
            status(&bench.gateway.call(chat(&server.base(), text)).await),
            200
        );
    }
    assert_eq!(server.received().len(), 3);
}

/// The demo LM's answers are watched as a server's are, and are the same watched or not.
#[tokio::test]
async fn tokens_of_the_demo_lm_are_shown_too() {
    let options = || GatewayOptions {
        route_all_to: Some("demo".to_owned()),
        ..GatewayOptions::default()
    };
    let question = "What is the capital of France?";
    let asked = || chat("https://api.openai.com/v1", question);
    let content = |body: &str| {
        let whole: Value = serde_json::from_str(body).unwrap();
        whole["choices"][0]["message"]["content"]
            .as_str()
            .map(str::to_owned)
    };
    let unwatched = Bench::new(options());
    let plain = content(&text(&unwatched.gateway.call(asked()).await));
    let bench = Bench::new(options());
    let mut watching = bench.gateway.watch(RunId(1));
    let answer = content(&text(&bench.gateway.call(asked()).await));
    assert_eq!(answer.as_deref(), Some("The capital of France is Paris."));
    assert_eq!(answer, plain);
    let mut pieces = Vec::new();
    for delta in watching.ready() {
        pieces.push(delta.text);
    }
    assert!(pieces.len() > 2, "{pieces:?}");
    assert_eq!(Some(pieces.concat()), answer);
}
