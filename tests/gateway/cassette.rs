//! Cache and cassette: nobody pays twice for the same call.

use super::*;

/// R115: a second identical call is served from the cache, flagged, at no cost.
#[tokio::test]
async fn a_repeated_call_is_a_hit() {
    let server = StubLm::saying("hello");
    let mut bench = Bench::new(GatewayOptions::default());
    let first = bench.gateway.call(chat(&server.base(), "hi")).await;
    let second = bench.gateway.call(chat(&server.base(), "hi")).await;
    assert_eq!(text(&first), text(&second));
    let recorded = bench.exchanges();
    assert_eq!(recorded[1].source, AnswerSource::Cache);
    assert_eq!(recorded[1].cost, Some(0.0));
    assert_eq!(server.received().len(), 1);
    assert_eq!(bench.gateway.clear_cache(Some(&recorded[0].key)), 1);
    bench.gateway.call(chat(&server.base(), "hi")).await;
    assert_eq!(server.received().len(), 2);
}

/// `cache=False` and different rollout ids always go out.
#[tokio::test]
async fn only_the_same_cacheable_call_is_a_hit() {
    let server = StubLm::saying("hello");
    let mut bench = Bench::new(GatewayOptions::default());
    for rollout in 0..4 {
        let request = LmRequest {
            rollout_id: Some(rollout),
            ..chat(&server.base(), "hi")
        };
        bench.gateway.call(request).await;
    }
    for _ in 0..2 {
        let request = LmRequest {
            cache: false,
            ..chat(&server.base(), "hi")
        };
        bench.gateway.call(request).await;
    }
    assert_eq!(server.received().len(), 6);
    let recorded = bench.exchanges();
    let keys: std::collections::HashSet<_> = recorded.iter().take(4).map(|e| &e.key).collect();
    assert_eq!(keys.len(), 4);
    assert_eq!((recorded[4].occurrence, recorded[5].occurrence), (0, 1));
}

/// Many at once, one call: the others wait for it.
#[tokio::test]
async fn concurrent_misses_are_one_call() {
    let server = StubLm::saying("hello");
    let mut bench = Bench::new(GatewayOptions::default());
    let calls = (0..8).map(|_| bench.gateway.call(chat(&server.base(), "hi")));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| status(answer) == 200));
    assert_eq!(server.received().len(), 1);
    let hits = bench
        .exchanges()
        .iter()
        .filter(|e| e.source == AnswerSource::Cache)
        .count();
    assert_eq!(hits, 7);
}

/// When the one who makes the call gives up, another makes it.
#[tokio::test]
async fn an_abandoned_call_is_taken_over() {
    let server = StubLm::start(|n, _| {
        if n == 0 {
            Scripted::Hang
        } else {
            Scripted::chat("x")
        }
    });
    let bench = Bench::new(GatewayOptions::default());
    let gateway = bench.gateway.clone();
    let request = chat(&server.base(), "hi");
    let first = tokio::spawn(async move { gateway.call(request).await });
    server.wait_for(1).await;
    let second = bench.gateway.call(chat(&server.base(), "hi"));
    tokio::pin!(second);
    assert!(futures_util::poll!(&mut second).is_pending());
    first.abort();
    assert_eq!(status(&second.await), 200);
}

/// A strict cassette serves a recorded session without a server, and names the call
/// it has no answer for.
#[tokio::test]
async fn a_strict_cassette_replays_and_names_what_it_lacks() {
    let server = StubLm::start(|n, _| Scripted::chat(&format!("answer {n}")));
    let mut live = Bench::new(GatewayOptions::default());
    let base = server.base();
    let uncached = || LmRequest {
        cache: false,
        ..chat(&base, "dice")
    };
    let mut said = vec![text(&live.gateway.call(chat(&base, "hi")).await)];
    for _ in 0..2 {
        said.push(text(&live.gateway.call(uncached()).await));
    }
    drop(server);
    let gateway = Gateway::new(
        GatewayOptions {
            cassette: CassetteMode::Strict,
            ..GatewayOptions::default()
        },
        live.journal.clone(),
    );
    assert_eq!(gateway.load_cassette(live.exchanges().into_iter()), 3);
    let mut again = vec![text(&gateway.call(chat(&base, "hi")).await)];
    for _ in 0..2 {
        again.push(text(&gateway.call(uncached()).await));
    }
    assert_eq!(said, again);
    assert!(
        live.exchanges()
            .iter()
            .all(|e| e.source == AnswerSource::Cassette)
    );
    let (why, message) = failure(&gateway.call(chat(&base, "never asked")).await);
    assert_eq!(why, TransportFailure::Protocol);
    assert!(
        message.contains("model m") && message.contains("never asked"),
        "{message}"
    );
    assert_eq!(
        failure(&gateway.call(uncached()).await).0,
        TransportFailure::Protocol
    );
}

/// Until divergence, a call without a recorded answer goes out.
#[tokio::test]
async fn until_divergence_goes_live_on_a_miss() {
    let server = StubLm::saying("live");
    let mut bench = Bench::new(GatewayOptions {
        cassette: CassetteMode::UntilDivergence,
        ..GatewayOptions::default()
    });
    assert_eq!(
        status(&bench.gateway.call(chat(&server.base(), "hi")).await),
        200
    );
    assert_eq!(bench.exchanges()[0].source, AnswerSource::Server);
}
