//! Which key goes where, and that none is ever written down.

use dspex_tui::session::event::Passport;

use super::*;

const CANARY: &str = "canary-key-1234567890";

fn token_of(bench: &Bench, variable: &str) -> String {
    let environment = bench.gateway.worker_environment();
    let found = environment.into_iter().find(|(name, _)| name == variable);
    found.and_then(|(_, value)| value).unwrap()
}

/// R5: a profile's key from a variable reaches its own server; the worker has only
/// a token; and no record, no debug text holds the key.
#[tokio::test]
async fn a_profile_s_key_reaches_its_server_and_no_record() {
    let server = StubLm::saying(CANARY);
    let mut bench = Bench::with_environment(&[("MY_KEY", CANARY)]);
    bench.configure(json!({
        "name": "mine", "provider": "local", "model": "m",
        "api_base": server.base(), "api_key_env": "MY_KEY", "temperature": 0.5
    }));
    let spec = bench.gateway.lm_spec("mine").unwrap();
    let token = spec.params["api_key"].as_str().unwrap();
    assert_ne!(token, CANARY);
    assert_eq!(spec.params["temperature"], 0.5);
    let answer = bench
        .gateway
        .call(with_key(chat(&server.base(), "hi"), token))
        .await;
    assert_eq!(status(&answer), 200);
    let sent = server.received();
    assert_eq!(
        sent[0].header("authorization"),
        Some(format!("Bearer {CANARY}").as_str())
    );
    let recorded = bench.exchanges();
    let seen = format!("{:?} {recorded:?} {spec:?}", bench.gateway);
    assert!(!seen.contains(CANARY), "{seen}");
    assert_eq!(bench.gateway.redact(CANARY), "***");
}

/// R5: the canary is in no file of a session on disk, though the server said it.
#[tokio::test]
async fn no_key_is_written_to_disk() {
    let server = StubLm::start(|_, _| Scripted::chat(&format!("the key is {CANARY}")));
    let root = tempfile::tempdir().unwrap();
    let journal = Journal::create(root.path(), None, Passport::default()).unwrap();
    let gateway = Gateway::new(
        GatewayOptions {
            environment: vec![("OPENAI_API_KEY".into(), CANARY.into())],
            ..GatewayOptions::default()
        },
        journal.clone(),
    );
    let request = with_key(chat(&server.base(), &format!("my key is {CANARY}")), CANARY);
    gateway.call(request).await;
    journal.close();
    let mut files = 0;
    for path in files_under(root.path()) {
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes());
        assert!(!found, "{}", path.display());
    }
    assert!(files > 0);
}

fn files_under(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_under(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// A token of a managed variable is worth nothing elsewhere: the call to a foreign
/// host is refused, and one to this machine goes without any key.
#[tokio::test]
async fn a_token_never_becomes_a_key_elsewhere() {
    let server = StubLm::saying("x");
    let bench = Bench::with_environment(&[("OPENAI_API_KEY", CANARY)]);
    let token = token_of(&bench, "OPENAI_API_KEY");
    for key in [token.as_str(), CANARY] {
        let foreign = with_key(chat("https://evil.example/v1", key), key);
        let answer = bench.gateway.call(foreign).await;
        assert_eq!(status(&answer), 401);
        assert!(text(&answer).contains("evil.example"));
    }
    let answer = bench
        .gateway
        .call(with_key(chat(&server.base(), "hi"), &token))
        .await;
    assert_eq!(status(&answer), 200);
    assert_eq!(server.received()[0].header("authorization"), None);
}

/// A profile's token is refused at another host too.
#[tokio::test]
async fn a_profile_s_token_is_bound_to_its_server() {
    let bench = Bench::with_environment(&[("MY_KEY", CANARY)]);
    bench.configure(json!({
        "name": "mine", "provider": "local", "model": "m",
        "api_base": "http://my.invalid/v1", "api_key_env": "MY_KEY"
    }));
    let spec = bench.gateway.lm_spec("mine").unwrap();
    let token = spec.params["api_key"].as_str().unwrap();
    let answer = bench
        .gateway
        .call(with_key(chat("http://other.invalid/v1", "hi"), token))
        .await;
    assert_eq!(status(&answer), 401);
    assert!(text(&answer).contains("other.invalid"));
}

/// A key the environment lacks is named, without a call.
#[tokio::test]
async fn a_missing_key_is_named() {
    let server = StubLm::saying("x");
    let bench = Bench::with_environment(&[]);
    bench.configure(json!({
        "name": "mine", "provider": "local", "model": "m",
        "api_base": server.base(), "api_key_env": "NOT_SET_KEY"
    }));
    let spec = bench.gateway.lm_spec("mine").unwrap();
    let token = spec.params["api_key"].as_str().unwrap();
    let answer = bench
        .gateway
        .call(with_key(chat(&server.base(), "hi"), token))
        .await;
    assert_eq!(status(&answer), 401);
    assert!(text(&answer).contains("NOT_SET_KEY is not set"));
    assert!(server.received().is_empty());
}

/// A literal key in user code goes to its own host and is hidden from then on.
#[tokio::test]
async fn a_literal_key_is_learned() {
    let server = StubLm::saying("x");
    let bench = Bench::with_environment(&[]);
    bench
        .gateway
        .call(with_key(chat(&server.base(), "hi"), "Literal-Key-77"))
        .await;
    assert_eq!(
        server.received()[0].header("authorization"),
        Some("Bearer Literal-Key-77")
    );
    assert_eq!(bench.gateway.redact("it is Literal-Key-77"), "it is ***");
}

/// R5: a base URL in the environment is honoured: the call goes there, with the key.
#[tokio::test]
async fn a_base_url_of_the_environment_is_honoured() {
    let server = StubLm::saying("x");
    let bench = Bench::with_environment(&[
        ("OPENAI_API_KEY", CANARY),
        ("OPENAI_BASE_URL", &server.base()),
    ]);
    let token = token_of(&bench, "OPENAI_API_KEY");
    let request = with_key(chat("https://api.openai.com/v1", "hi"), &token);
    assert_eq!(status(&bench.gateway.call(request).await), 200);
    let received = &server.received()[0];
    assert_eq!(received.path, "/v1/chat/completions");
    assert_eq!(
        received.header("authorization"),
        Some(format!("Bearer {CANARY}").as_str())
    );
}
