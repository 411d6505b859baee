//! What a job holds of a pool's worker, and the watch over it.
//!
//! A lease goes back when it is dropped: after use, after an error, after a
//! cancel (R88).

use std::sync::atomic::Ordering;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Supervisor;
use super::keeper::Order;
use super::pulse;
use crate::protocol::error::{ErrorClass, OperationError};
use crate::protocol::message::Request;
use crate::session::event::RunId;
use crate::worker::connection::Worker;
use crate::worker::pool::{PoolRole, PoolsOptions};

/// What a job wants of a pool.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which pool.
    pub role: PoolRole,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// Equal for jobs that are better off on the same worker.
    pub affinity: Option<u64>,
    /// Not on a worker that has a job of the same run already.
    pub apart: bool,
}

/// A worker granted to a job.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) worker: Worker,
    pub(super) number: u32,
    pub(super) cancelled: CancellationToken,
}

/// A worker of a pool, for one job.
#[derive(Debug)]
pub struct Lease {
    granted: Granted,
    job: u64,
    wanted: Wanted,
    options: std::sync::Arc<PoolsOptions>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Supervisor {
    /// Waits for a worker of a pool.
    ///
    /// # Errors
    ///
    /// `pool_exhausted` when too many wait, or for too long; `pool_down` when
    /// its workers die; why a worker cannot be started; the run was cancelled.
    pub async fn check_out(&self, wanted: Wanted) -> Result<Lease, OperationError> {
        let job = self.next_job.fetch_add(1, Ordering::Relaxed) + 1;
        let (reply, granted) = oneshot::channel();
        let mut waiting = Waiting {
            supervisor: self,
            role: wanted.role,
            job: Some(job),
        };
        let _ = self
            .orders
            .send(Order::CheckOut(job, wanted.clone(), reply));
        let granted = granted
            .await
            .unwrap_or_else(|_| Err(super::shutting_down()));
        waiting.job = None;
        Ok(Lease {
            granted: granted?,
            job,
            wanted,
            options: std::sync::Arc::clone(&self.pools),
            orders: self.orders.clone(),
        })
    }
}

/// Takes a job out of the queue when nobody waits for it any more.
struct Waiting<'a> {
    supervisor: &'a Supervisor,
    role: PoolRole,
    job: Option<u64>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job {
            let _ = self.supervisor.orders.send(Order::Forget(self.role, job));
        }
    }
}

impl Lease {
    /// The worker's number in the session.
    pub fn worker(&self) -> u32 {
        self.granted.number
    }

    /// Has a request carried out, and watches that the worker lives meanwhile.
    ///
    /// # Errors
    ///
    /// The worker's answer; `process_crashed` when it died or was silent for too
    /// long; `cancelled` when the run was cancelled and did not end by itself.
    pub async fn request(&self, request: Request) -> Result<Value, OperationError> {
        let mut answer = std::pin::pin!(self.granted.worker.request(request));
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            () = self.granted.cancelled.cancelled() => Err(self.wanted.run.map_or_else(
                || OperationError::internal("a job without a run was cancelled"),
                cancelled,
            )),
            never = pulse::while_busy(&self.granted.worker, self.wanted.role, &self.options, &self.orders) => match never {},
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let order = Order::Return(self.wanted.role, self.job, self.granted.number);
        // A closed channel: the supervisor is shutting down.
        let _ = self.orders.send(order);
    }
}

/// What a job of a cancelled run is answered.
pub(super) fn cancelled(run: RunId) -> OperationError {
    OperationError::new(
        "cancelled",
        ErrorClass::Interrupted,
        format!("run {} was cancelled", run.0),
    )
}
