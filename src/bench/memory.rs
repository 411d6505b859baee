//! Memory: what a long session holds, here and in its worker.

use super::{Bench, Measured, Row, kernel, resident_mb, scripts};
use crate::app::Core;
use crate::protocol::error::OperationError;

/// Calls after which memory is looked at: a session of a day, and of weeks.
const FEW: u32 = 5_000;
const MANY: u32 = 50_000;

/// Calls of the demo LM, each a `Predict` of a cell, recorded like any other.
pub(super) async fn measure(bench: &Bench) -> Measured {
    let mut core = kernel::core(bench, false).await?;
    kernel::demo(&mut core).await?;
    let few = after(&mut core, FEW).await?;
    let many = after(&mut core, MANY - FEW).await?;
    core.close().await;
    let row = |name, few: f64, many: f64, most: f64| Row {
        name,
        unit: "MB",
        ours: many,
        rival: Some((few, "after 5,000, MB".to_owned())),
        goal: format!("≤ {most} MB more"),
        reached: many - few <= most,
    };
    Ok(vec![
        row("workbench after 50,000 calls", few.0, many.0, 64.0),
        row("worker after 50,000 calls", few.1, many.1, 32.0),
    ])
}

/// Memory of the workbench and of the kernel after so many more calls, MB.
async fn after(core: &mut Core, calls: u32) -> Result<(f64, f64), OperationError> {
    for _ in 0..calls / 2_500 {
        kernel::cell(core, scripts::DEMO_CALLS).await?;
    }
    let kernel = core.kernel_pid().map_or(f64::NAN, resident_mb);
    Ok((resident_mb(std::process::id()), kernel))
}
