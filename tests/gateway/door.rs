//! The loopback door: who gets in, and what they get.

use dspex_tui::gateway::Door;

use super::*;

async fn open(bench: &Bench) -> Door {
    let address = "127.0.0.1:0".parse().unwrap();
    bench.gateway.serve(address, None).await.unwrap()
}

/// A raw request, so that any Host can be claimed.
async fn ask(door: &Door, host: &str, token: &str, path: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(door.address())
        .await
        .unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_program_with_the_token_reaches_a_profile() {
    let server = StubLm::saying("through the door");
    let mut bench = Bench::with_environment(&[("MY_KEY", "canary-door-1")]);
    bench.configure(json!({
        "name": "mine", "provider": "local", "model": "own",
        "api_base": server.base(), "api_key_env": "MY_KEY"
    }));
    let door = open(&bench).await;
    let host = door.address().to_string();
    for path in ["/v1/chat/completions", "/mine/v1/chat/completions"] {
        let answer = ask(
            &door,
            &host,
            &door.token,
            path,
            r#"{"model":"mine","messages":[]}"#,
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("through the door"));
    }
    let received = &server.received()[0];
    assert_eq!(received.json["model"], "own");
    assert_eq!(
        received.header("authorization"),
        Some("Bearer canary-door-1")
    );
    assert_eq!(bench.exchanges().len(), 2);
}

#[tokio::test]
async fn streams_pass_through_the_door() {
    let bench = Bench::with_environment(&[]);
    bench.configure(json!({"provider": "demo"}));
    let door = open(&bench).await;
    let host = door.address().to_string();
    let body =
        r#"{"model":"demo","stream":true,"messages":[{"role":"user","content":"What is 12*7?"}]}"#;
    let answer = ask(&door, &host, &door.token, "/v1/chat/completions", body).await;
    assert!(answer.contains("text/event-stream"), "{answer}");
    assert!(answer.contains("[DONE]"), "{answer}");
}

/// Without the token, or under another name (DNS rebinding), nobody gets in.
#[tokio::test]
async fn strangers_are_turned_away() {
    let bench = Bench::with_environment(&[]);
    bench.configure(json!({"provider": "demo"}));
    let door = open(&bench).await;
    let host = door.address().to_string();
    let path = "/v1/chat/completions";
    assert!(
        ask(&door, &host, "wrong", path, "{}")
            .await
            .starts_with("HTTP/1.1 401")
    );
    assert!(
        ask(&door, "evil.example", &door.token, path, "{}")
            .await
            .starts_with("HTTP/1.1 403")
    );
    assert!(
        ask(&door, &host, &door.token, "/other", "{}")
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(
        ask(&door, &host, "", "/health", "")
            .await
            .starts_with("HTTP/1.1 200")
    );
    let outside = bench
        .gateway
        .serve("0.0.0.0:0".parse().unwrap(), None)
        .await;
    assert_eq!(outside.unwrap_err().kind, "not_loopback");
}
