//! Jobs: where a run of a program is carried out, and what goes there with it.
//!
//! A job goes to a worker of a pool. What it needs of the notebook (programs,
//! metrics, tools, settings) is pickled by the kernel and goes along, from one
//! private socket to another; it is never written down. What cannot be pickled
//! keeps the job in the kernel, and a span of the run says why. Owns that choice;
//! which worker it is, is the supervisor's.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::OperationResult;
use super::host::CoreHost;
use super::optimised::{Known, Optimised};
use crate::protocol::message::{Lane, Request};
use crate::worker::{PoolRole, Supervisor, Wanted};

mod spread;

/// How long the kernel may take to pickle before a job goes without: code that
/// holds Python's lock must not hold up a program that needs nothing of it.
const SHIPPING: Duration = Duration::from_secs(10);
/// Arguments that are values, never names of the notebook.
const VALUES: [&str; 8] = [
    "inputs",
    "rows",
    "dataset",
    "trainset",
    "valset",
    "prompt",
    "config",
    "instructions",
];

/// Carries a job out, or answers what is known of it. `lived` tells that cells ran in
/// the kernel.
pub(super) async fn carry_out(
    supervisor: &Supervisor,
    host: &Arc<CoreHost>,
    role: PoolRole,
    mut request: Request,
    lived: bool,
    optimised: &Optimised,
) -> OperationResult {
    if lived {
        match ship(supervisor, &request).await {
            Shipment::Nothing => {}
            Shipment::Pickle(pickle) => request.shipped = Some(pickle),
            Shipment::Stays(reason) => {
                request.stays = Some(reason);
                optimised.look_up(&mut request, false);
                return supervisor.request(request).await;
            }
        }
    }
    if request.operation == "evaluate_pipeline"
        && let Some(plan) = spread::plan(supervisor.pool_size(role), &request)
    {
        return spread::evaluate(supervisor, host, request, plan).await;
    }
    let wanted = Wanted {
        role,
        run: request.run,
        affinity: Some(affinity(&request)),
        apart: false,
    };
    let key = match optimised.look_up(&mut request, true) {
        Known::Answer(answer) => return Ok(answer),
        Known::Nothing(key) => key,
    };
    let lease = supervisor.check_out(wanted).await?;
    let result = lease.request(request).await;
    optimised.keep(key, &result);
    result
}

/// What a job takes along.
enum Shipment {
    Nothing,
    /// Base64 of names and settings, pickled by value.
    Pickle(String),
    /// Why it cannot leave the kernel.
    Stays(String),
}

/// Asks the kernel for what a job needs of it.
async fn ship(supervisor: &Supervisor, request: &Request) -> Shipment {
    let arguments: Map<String, Value> = match &request.arguments {
        Value::Object(arguments) => arguments
            .iter()
            .filter(|(key, _)| !VALUES.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        _ => Map::new(),
    };
    let asked = Request {
        operation: "ship".to_owned(),
        lane: Lane::Side,
        arguments: json!({"arguments": arguments, "has_lm": request.lm.is_some()}),
        ..Request::default()
    };
    let answer = tokio::time::timeout(SHIPPING, supervisor.request(asked)).await;
    let Ok(Ok(answer)) = answer else {
        return Shipment::Nothing;
    };
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    match (text("stays"), text("pickle")) {
        (Some(reason), _) => Shipment::Stays(reason),
        (None, Some(pickle)) => Shipment::Pickle(pickle),
        (None, None) => Shipment::Nothing,
    }
}

/// Equal for jobs of one program: its worker has it built already.
fn affinity(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    for key in ["program", "module", "signature"] {
        if let Some(value) = request.arguments.get(key) {
            value.to_string().hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(arguments: Value) -> Request {
        Request {
            arguments,
            ..Request::default()
        }
    }

    #[test]
    fn jobs_of_one_program_like_the_same_worker() {
        let first = asking(json!({"program": {"name": "qa"}, "inputs": {"question": "a"}}));
        let second = asking(json!({"program": {"name": "qa"}, "inputs": {"question": "b"}}));
        let other = asking(json!({"program": {"name": "triage"}}));
        assert_eq!(affinity(&first), affinity(&second));
        assert_ne!(affinity(&first), affinity(&other));
    }
}
