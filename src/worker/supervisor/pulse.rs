//! Whether the workers of pools answer: asked by each of their jobs, and more rarely
//! while they have none (R90).
//!
//! Only asks and tells the keeper, which decides. A worker that a signal stopped needs
//! no asking: its process is watched.

use std::convert::Infallible;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::keeper::Order;
use crate::protocol::message::{Lane, Request};
use crate::worker::connection::Worker;
use crate::worker::pool::{PoolRole, PoolsOptions};

/// Asks a worker that has a job, as long as the job lasts; has it killed when it is
/// silent for too long.
pub(super) async fn while_busy(
    worker: &Worker,
    role: PoolRole,
    options: &PoolsOptions,
    orders: &mpsc::UnboundedSender<Order>,
) -> Infallible {
    let number = worker.number();
    loop {
        sleep(options.probe_every).await;
        let mut alive = std::pin::pin!(worker.request(probe()));
        let patience = options.unresponsive_after;
        if timeout(patience, &mut alive).await.is_ok() {
            continue;
        }
        let _ = orders.send(Order::Silent(role, number, true));
        let patience = options.kill_after.saturating_sub(patience);
        if timeout(patience, &mut alive).await.is_ok() {
            let _ = orders.send(Order::Silent(role, number, false));
            continue;
        }
        let seconds = options.kill_after.as_secs_f64();
        let why = format!("killed: it did not answer for {seconds} s");
        let _ = orders.send(Order::Kill(role, number, why));
    }
}

/// Asks a worker while it has no job, so that one that hangs is found before a job is
/// given to it. Ends with the worker, or with the supervisor.
pub(super) async fn while_idle(
    worker: Worker,
    role: PoolRole,
    options: PoolsOptions,
    orders: mpsc::WeakUnboundedSender<Order>,
) {
    while timeout(options.probe_idle_every, worker.ended())
        .await
        .is_err()
    {
        if !worker.is_idle() {
            continue;
        }
        let alive = timeout(options.unresponsive_after, worker.request(probe()));
        if alive.await.is_err() {
            let Some(orders) = orders.upgrade() else {
                return;
            };
            let _ = orders.send(Order::Hung(role, worker.number()));
        }
    }
}

fn probe() -> Request {
    Request {
        operation: "echo".to_owned(),
        lane: Lane::Side,
        arguments: json!({}),
        ..Request::default()
    }
}
