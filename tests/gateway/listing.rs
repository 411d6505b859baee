//! Model lists: where each provider keeps its own, with which key, and what is said
//! where there is none.

use serde_json::{Value, json};

use super::Bench;
use crate::support::stub_lm::{Received, Scripted, StubLm};

const CANARY: &str = "canary-4711-key";

/// A server of four providers: each list under its own path.
fn serve(_: usize, received: &Received) -> Scripted {
    let answer = match received.path.as_str() {
        "/openai/v1/models" => {
            json!({"object": "list", "data": [{"id": "gpt-b"}, {"id": "gpt-a"}]})
        }
        "/anthropic/v1/models?limit=1000" => {
            json!({"data": [{"id": "claude-x", "type": "model"}], "has_more": false})
        }
        "/gemini/v1beta/models?pageSize=1000" => json!({"models": [
            {"name": "models/gemini-x", "supportedGenerationMethods": ["generateContent"]},
            {"name": "models/embed", "supportedGenerationMethods": ["embedContent"]},
        ]}),
        "/ollama/api/tags" => json!({"models": [{"name": "llama3.2:latest"}]}),
        "/html/models" => return Scripted::Whole(200, Vec::new(), "<html>".into()),
        "/closed/models" => return Scripted::error(401, "no such key"),
        "/busy/models" => return Scripted::error(503, "later"),
        "/moved/models" => {
            let to = vec![("location", "http://evil.example/models")];
            return Scripted::Whole(302, to, String::new());
        }
        _ => return Scripted::error(404, "no such page"),
    };
    Scripted::Whole(200, Vec::new(), answer.to_string())
}

fn of(server: &StubLm, provider: &str, path: &str) -> Value {
    json!({"provider": provider, "model": "any", "api_key_env": "MY_KEY",
           "api_base": format!("http://127.0.0.1:{}/{path}", server.port())})
}

/// R1, R2, R4: the list of each provider is read where it is kept, with the profile's
/// key in that provider's own header.
#[tokio::test]
async fn each_provider_s_list_is_read() {
    let server = StubLm::start(serve);
    let bench = Bench::with_environment(&[("MY_KEY", CANARY)]);
    for (provider, path, models) in [
        ("openai", "openai/v1", json!(["gpt-a", "gpt-b"])),
        ("anthropic", "anthropic/v1", json!(["claude-x"])),
        ("gemini", "gemini/v1beta", json!(["gemini-x"])),
        ("ollama", "ollama/v1", json!(["llama3.2:latest"])),
    ] {
        let profile = of(&server, provider, path);
        let profile = bench.gateway.build_profile(profile.as_object().unwrap());
        let offered = bench.gateway.list_models(&profile.unwrap()).await.unwrap();
        assert_eq!(json!(offered.models), models, "{provider}");
        assert_eq!(offered.provider, provider);
        assert!(offered.url.contains(path.split('/').next().unwrap()));
    }
    let bearer = format!("Bearer {CANARY}");
    let keys = [
        ("authorization", bearer.as_str()),
        ("x-api-key", CANARY),
        ("x-goog-api-key", CANARY),
        ("authorization", bearer.as_str()),
    ];
    let received = server.received();
    for (request, (header, key)) in received.iter().zip(keys) {
        assert_eq!(request.header(header), Some(key), "{}", request.path);
    }
    assert_eq!(received[1].header("anthropic-version"), Some("2023-06-01"));
}

/// R5, R7: no list, a refused key, a missing key, a server that is not there: each is a
/// sentence with what to do, and no key goes where a server points.
#[tokio::test]
async fn what_is_not_offered_is_said() {
    let server = StubLm::start(serve);
    let bench = Bench::with_environment(&[("MY_KEY", CANARY)]);
    let mut unset = of(&server, "openai", "openai/v1");
    unset["api_key_env"] = json!("NOT_SET_KEY");
    let cases = [
        (
            of(&server, "local", "nothing"),
            "models_not_listed",
            "no list",
        ),
        (of(&server, "local", "html"), "models_not_listed", "no list"),
        (
            of(&server, "local", "closed"),
            "lm_auth",
            "refused the key (401)",
        ),
        (of(&server, "local", "busy"), "list_failed", "answered 503"),
        (of(&server, "local", "moved"), "list_failed", "answered 302"),
        (unset, "lm_auth", "NOT_SET_KEY is not set"),
        (
            json!({"provider": "local", "model": "any", "port": 9}),
            "list_failed",
            "",
        ),
        (
            json!({"model": "bedrock/x"}),
            "models_not_listed",
            "bedrock",
        ),
        (of(&server, "azure", "azure"), "models_not_listed", "azure"),
    ];
    for (arguments, kind, part) in cases {
        let profile = bench.gateway.build_profile(arguments.as_object().unwrap());
        let error = bench.gateway.list_models(&profile.unwrap()).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind, kind, "{arguments}: {}", error.message);
        assert!(error.message.contains(part), "{}", error.message);
        assert!(!error.message.contains(CANARY));
    }
}
