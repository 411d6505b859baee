//! Injected faults take the way real ones take.

use super::*;

async fn struck(spec: &str) -> (LmAnswer, Exchange) {
    let server = StubLm::saying("hello");
    let mut bench = Bench::new(GatewayOptions {
        faults: vec![Fault::parse(spec).unwrap()],
        ..GatewayOptions::default()
    });
    let request = LmRequest {
        timeout: Some(5.0),
        ..chat(&server.base(), "hi")
    };
    let request = if spec == "slowloris" {
        LmRequest {
            timeout: Some(0.05),
            ..request
        }
    } else {
        request
    };
    let answer = bench.gateway.call(request).await;
    (answer, bench.exchanges().pop().unwrap())
}

#[tokio::test]
async fn each_fault_does_what_it_says() {
    let (answer, exchange) = struck("status=429").await;
    assert_eq!(status(&answer), 429);
    assert_eq!(exchange.source, AnswerSource::Fault);
    let (answer, _) = struck("invalid-json").await;
    assert!(serde_json::from_str::<Value>(&text(&answer)).is_err());
    assert_eq!(
        failure(&struck("refuse").await.0).0,
        TransportFailure::Connect
    );
    assert_eq!(
        failure(&struck("slowloris").await.0).0,
        TransportFailure::Timeout
    );
    let (answer, exchange) = struck("truncate").await;
    assert_eq!(failure(&answer).0, TransportFailure::Read);
    assert!(exchange.error.unwrap().contains("broke in the middle"));
    let (answer, exchange) = struck("latency=20ms").await;
    assert_eq!(status(&answer), 200);
    assert!(exchange.latency_us >= Duration::from_millis(20).as_micros() as u64);
}
