//! The disk: bytes an exchange takes, with recording as it is in use.

use std::time::Instant;

use serde_json::json;

use super::{Bench, Measured, Row};
use crate::app::{Core, CoreOptions, SessionChoice};
use crate::protocol::message::{Body, LmRequest};

const EXCHANGES: u64 = 100_000;

/// Records exchanges through the gateway and looks at the directory.
pub(super) async fn measure(bench: &Bench) -> Measured {
    let mut options = CoreOptions::new(bench.scratch.clone());
    let root = bench.scratch.join("exchanges");
    options.session = SessionChoice::New(Some("exchanges".to_owned()));
    options.sessions_dir = Some(root.clone());
    let mut core = Core::start(options).await?;
    let gateway = core.gateway().ok_or_else(|| {
        crate::protocol::error::OperationError::internal("the session is held elsewhere")
    })?;
    let system = "Your input fields are:\n1. `question` (str):\nYour output fields are:\n1. `answer` (str):\n\
        All interactions will be structured in the following way, with the appropriate values filled in.\n\n\
        [[ ## question ## ]]\n{question}\n\n[[ ## answer ## ]]\n{answer}\n\n[[ ## completed ## ]]\n\
        In adhering to this structure, your objective is: \n        Given the fields `question`, produce the fields `answer`.";
    let begun = Instant::now();
    for number in 0..EXCHANGES {
        let user = format!(
            "[[ ## question ## ]]\nWhat is {number}*7?\n\nRespond with the corresponding output fields."
        );
        let body = json!({"model": "demo", "messages": [
            {"role": "system", "content": system}, {"role": "user", "content": user}]});
        let request = LmRequest {
            span: None,
            parent: None,
            run: None,
            cell: None,
            method: "POST".to_owned(),
            url: "http://demo.dspex.invalid/v1/chat/completions".to_owned(),
            headers: Vec::new(),
            body: Body::Body(body.to_string()),
            timeout: None,
            stream: false,
            cache: false,
            rollout_id: None,
            price: None,
        };
        gateway.call(request).await;
        if number % 1000 == 0 {
            core.settle();
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    core.settle();
    core.close().await;
    let bytes = size_of(&root);
    Ok(vec![
        Row::plain(
            "disk, an exchange of 100,000",
            "bytes",
            bytes as f64 / EXCHANGES as f64,
        ),
        Row::plain(
            "demo exchanges recorded a second",
            "calls/s",
            EXCHANGES as f64 / seconds,
        ),
    ])
}

fn size_of(path: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
