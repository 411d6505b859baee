//! The three unmodified scripts: what is replayed of them is what was lived, span by span.

use dspex_tui::app::{Core, CoreOptions, SessionChoice};
use dspex_tui::session::state::{SessionState, Span};

use super::*;
use crate::support::{project, venv};

/// A session that runs a script on the demo LM; the state as it was on the way, never
/// read from disk.
async fn lived(home: &Home, script: &str) -> SessionState {
    let path = project().join("tests/scripts").join(script);
    let source = std::fs::read_to_string(&path).unwrap();
    let mut options = CoreOptions::new(home.work());
    options.session = SessionChoice::New(Some("lived".to_owned()));
    options.sessions_dir = Some(home.sessions());
    options.venv = Some(venv());
    options.gateway.route_all_to = Some("demo".to_owned());
    let mut core = Core::start(options).await.unwrap();
    let handle = core.handle();
    let arguments = json!({"source": source, "file": path.display().to_string()});
    let result = core.run_until(handle.call("run_cell", arguments)).await;
    let result = result.unwrap();
    assert_eq!(result["status"], "ok", "{result:#}");
    // Closing writes further events, about workers; the spans are all there.
    let state = core.state().session.clone();
    core.close().await;
    state
}

/// Everything there is to a span, its parent by name.
fn facts(run: &dspex_tui::session::state::Run, span: &Span) -> Value {
    let mut facts = serde_json::to_value(span).unwrap();
    facts["parent"] = span.parent.map(|at| run.spans[at].id.clone()).into();
    facts
}

/// Holds every span of every run of the lived state against the replay's.
fn compare(home: &Home, lived: &SessionState, script: &str) {
    let mut without: Vec<(String, String)> = home.environment();
    without.retain(|(name, _)| name != "DSPEX_VENV" && name != "PATH");
    let output = Command::new(workbench())
        .args(["replay", "lived", "--json"])
        .env_clear()
        .envs(without)
        .current_dir(home.work())
        .output()
        .unwrap();
    let replayed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = home.dspex(&["replay", "lived", "--plain"]);
    let (mut spans, mut kinds, mut exchanges) = (0, std::collections::BTreeMap::new(), 0);
    for (id, run) in &lived.runs {
        let again = &replayed["state"]["runs"][id.0.to_string()]["spans"];
        let again = again.as_array().unwrap();
        assert_eq!(
            again.len(),
            run.spans.len(),
            "{script}: spans of {}",
            run.title
        );
        for (span, replayed) in run.spans.iter().zip(again) {
            let mut replayed = replayed.clone();
            let parent = replayed["parent"]
                .as_u64()
                .map(|at| again[at as usize]["id"].clone());
            replayed["parent"] = parent.unwrap_or_default();
            assert_eq!(replayed, facts(run, span), "{script}: {}", span.name);
            assert!(
                text.success().contains(&span.name),
                "{script}: {}",
                span.name
            );
            assert!(span.end_ns.is_some(), "{script}: {} never ended", span.name);
            spans += 1;
            *kinds.entry(span.kind.clone()).or_insert(0) += 1;
            exchanges += span.exchanges.len();
        }
    }
    println!("{script}: {spans} spans, {exchanges} exchanges: {kinds:?}");
    assert!(
        spans > 10 && exchanges > 3,
        "{script}: {spans} spans, {exchanges} exchanges"
    );
    assert!(
        kinds.contains_key("module") && kinds.contains_key("lm"),
        "{kinds:?}"
    );
    assert_eq!(
        serde_json::to_value(&lived.totals).unwrap(),
        replayed["state"]["totals"],
        "{script}"
    );
}

async fn lives_as_it_is_replayed(script: &str) {
    let home = Home::new();
    let state = lived(&home, script).await;
    compare(&home, &state, script);
}

/// R64, R138: a RAG program, evaluated and bootstrapped.
#[tokio::test]
async fn every_span_of_the_rag_script_is_replayed() {
    lives_as_it_is_replayed("rag.py").await;
}

/// R64, R138: an agent with an asynchronous tool.
#[tokio::test]
async fn every_span_of_the_agent_script_is_replayed() {
    lives_as_it_is_replayed("agent.py").await;
}

/// R64, R138: a program with callbacks of its own, awaited.
#[tokio::test]
async fn every_span_of_the_script_with_callbacks_is_replayed() {
    lives_as_it_is_replayed("callbacks.py").await;
}
