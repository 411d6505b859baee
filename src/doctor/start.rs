//! Starts a worker as a session would, lets it import DSPy and ends it again.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::machine::key_variables;
use super::report::Check;
use crate::protocol::message::{LmRequest, Ready, WorkerHello};
use crate::session::event::WorkerReport;
use crate::worker::{
    Host, Launch, LmReply, PythonEnvironment, SupervisorOptions, Worker, WorkerEvent,
};

/// The worker at `binary` starts, imports DSPy and gets ready.
pub async fn check(environment: &PythonEnvironment, binary: &Path) -> Check {
    let cwd = std::env::current_dir().unwrap_or_default();
    let usual = SupervisorOptions::new(environment.clone(), cwd);
    let launch = Launch {
        number: 1,
        environment: environment.clone(),
        binary: binary.to_owned(),
        cwd: usual.cwd,
        // This worker calls no LM, so it gets no key.
        variables: key_variables()
            .into_iter()
            .map(|name| (name.to_owned(), None))
            .collect(),
        interactive: false,
        hello_deadline: usual.hello_deadline,
        ready_deadline: usual.ready_deadline,
    };
    let began = Instant::now();
    let worker = match Worker::launch(launch, Arc::new(Deaf)).await {
        Ok(worker) => worker,
        Err(error) => return Check::missing("worker", error.message, error.recovery.hint),
    };
    let ready = worker.ready().await;
    let took = began.elapsed().as_millis();
    worker.kill();
    match ready {
        Ok(ready) => describe(&ready.0, &ready.1, took),
        Err(error) => {
            let remedy = if error.recovery.hint.is_empty() {
                format!("make worker PYTHON={}", environment.python.display())
            } else {
                error.recovery.hint
            };
            Check::missing("worker", error.message, remedy)
        }
    }
}

fn describe(hello: &WorkerHello, ready: &Ready, took: u128) -> Check {
    let detail = format!(
        "ready in {took} ms: Python {}, dspy {}",
        hello.python, ready.dspy
    );
    if ready.tracing == "wrappers" && ready.door == "transport" {
        return Check::ok("worker", detail);
    }
    Check::optional(
        "worker",
        format!(
            "{detail}; this DSPy is another one than expected, so tracing is by {} and LM calls go by {}: slower, not wrong",
            ready.tracing, ready.door
        ),
        "",
    )
}

/// Nobody listens to this worker: it is asked nothing.
struct Deaf;

impl Host for Deaf {
    fn lm_request(self: Arc<Self>, _: u32, _: LmRequest, _: LmReply) {}
    fn event(&self, _: u32, _: WorkerEvent) {}
    fn worker_changed(&self, _: WorkerReport) {}
    fn output(&self, _: u32, _: bool, _: &str) {}
}
