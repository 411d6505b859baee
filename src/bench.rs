//! `dspex-tui bench`: every figure beside its rival, measured in one run.
//!
//! A row is a figure of ours, the same figure of what it must beat, and the
//! goal for their ratio. Nothing here is asserted: a missed goal is printed as
//! missed. Figures of a debug build mean nothing, and the table says so.

mod kernel;
mod memory;
mod pools;
mod recovery;
mod sandbox;
mod screen;
mod scripts;
mod store;
pub mod stub;
pub mod terminal;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::protocol::error::OperationError;
use crate::worker::PythonEnvironment;

/// One figure beside its rival.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// `ms`, `µs`, `ex/s`, `calls/s`, `MB`, `bytes`, `ticks`.
    pub unit: &'static str,
    /// Our figure.
    pub ours: f64,
    /// The figure to beat, and what it is of.
    pub rival: Option<(f64, String)>,
    /// The goal, in words.
    pub goal: String,
    /// Whether it was reached.
    pub reached: bool,
}

/// What a measurement works with.
#[derive(Debug)]
pub struct Bench {
    /// This program.
    pub exe: PathBuf,
    /// The environment both sides run in.
    pub environment: PythonEnvironment,
    /// A directory of its own; removed at the end.
    pub scratch: PathBuf,
}

type Measured = Result<Vec<Row>, OperationError>;

/// Runs the rows whose group contains one of `wanted` (all, without any) and
/// prints a table, or JSON. True when every goal was reached.
///
/// # Errors
/// When there is no Python environment, or the output is closed.
pub async fn run(
    venv: Option<PathBuf>,
    wanted: &[String],
    json: bool,
    out: &mut impl Write,
) -> Result<bool, OperationError> {
    let cwd = std::env::current_dir().unwrap_or_default();
    let environment = crate::worker::environment::discover(venv.as_deref(), &cwd)?;
    let scratch = std::env::temp_dir().join(format!("dspex-bench-{}", std::process::id()));
    let failed = |error: std::io::Error| OperationError::internal(error.to_string());
    std::fs::create_dir_all(&scratch).map_err(failed)?;
    let exe = std::env::current_exe().map_err(failed)?;
    let bench = Bench {
        exe,
        environment,
        scratch,
    };
    let mut all_reached = true;
    let mut rows = Vec::new();
    if !json {
        let _ = writeln!(out, "{}", heading());
    }
    for group in [
        "screen",
        "worker",
        "calls",
        "pools",
        "recovery",
        "interrupt",
        "sandbox",
        "memory",
        "store",
    ] {
        if !wanted.is_empty() && !wanted.iter().any(|w| group.contains(w.as_str())) {
            continue;
        }
        let measured = match group {
            "screen" => screen::measure(&bench),
            "worker" => kernel::worker(&bench).await,
            "calls" => kernel::calls(&bench).await,
            "pools" => pools::measure(&bench).await,
            "recovery" => recovery::measure(&bench).await,
            "interrupt" => kernel::interrupt(&bench).await,
            "sandbox" => sandbox::measure(&bench).await,
            "memory" => memory::measure(&bench).await,
            _ => store::measure(&bench).await,
        };
        match measured {
            Ok(measured) => {
                for row in measured {
                    all_reached &= row.reached;
                    if !json {
                        let _ = writeln!(out, "{}", line(&row));
                    }
                    rows.push(row);
                }
            }
            Err(error) => {
                all_reached = false;
                let _ = writeln!(out, "{group}: {error}");
            }
        }
        let _ = out.flush();
    }
    let _ = std::fs::remove_dir_all(&bench.scratch);
    if json {
        let text = serde_json::to_string_pretty(&rows).unwrap_or_default();
        let _ = writeln!(out, "{text}");
    }
    Ok(all_reached)
}

impl Row {
    /// A figure that must be at most `factor` times its rival's.
    fn at_most(
        name: &'static str,
        unit: &'static str,
        ours: f64,
        rival: (f64, &str),
        factor: f64,
    ) -> Self {
        let reached = ours <= rival.0 * factor;
        let goal = format!("≤ ×{factor}");
        Self {
            name,
            unit,
            ours,
            rival: Some((rival.0, rival.1.to_owned())),
            goal,
            reached,
        }
    }

    /// A figure that must be at least `factor` times its rival's.
    fn at_least(
        name: &'static str,
        unit: &'static str,
        ours: f64,
        rival: (f64, &str),
        factor: f64,
    ) -> Self {
        let reached = ours >= rival.0 * factor;
        let goal = format!("≥ ×{factor}");
        Self {
            name,
            unit,
            ours,
            rival: Some((rival.0, rival.1.to_owned())),
            goal,
            reached,
        }
    }

    /// A figure that must be at most `limit`.
    fn below(name: &'static str, unit: &'static str, ours: f64, limit: f64) -> Self {
        Self {
            name,
            unit,
            ours,
            rival: None,
            goal: format!("≤ {limit} {unit}"),
            reached: ours <= limit,
        }
    }

    /// A figure that must be at least `limit`.
    fn above(name: &'static str, unit: &'static str, ours: f64, limit: f64) -> Self {
        Self {
            name,
            unit,
            ours,
            rival: None,
            goal: format!("≥ {limit} {unit}"),
            reached: ours >= limit,
        }
    }

    /// A figure without a goal.
    fn plain(name: &'static str, unit: &'static str, ours: f64) -> Self {
        Self {
            name,
            unit,
            ours,
            rival: None,
            goal: String::new(),
            reached: true,
        }
    }
}

fn heading() -> String {
    let build = if cfg!(debug_assertions) {
        " (debug build: figures mean nothing)"
    } else {
        ""
    };
    format!(
        "{:<44} {:>11} {:>34} {:>8}  goal{build}",
        "figure", "ours", "rival", "ratio"
    )
}

fn line(row: &Row) -> String {
    let ours = format!("{} {}", number(row.ours), row.unit);
    let (rival, ratio) = match &row.rival {
        Some((value, what)) => (
            format!("{what} {}", number(*value)),
            format!("×{:.2}", row.ours / value),
        ),
        None => (String::new(), String::new()),
    };
    let mark = match (row.reached, row.goal.is_empty()) {
        (_, true) => "",
        (true, _) => "✓",
        (false, _) => "✗",
    };
    format!(
        "{:<44} {ours:>11} {rival:>34} {ratio:>8}  {mark} {}",
        row.name, row.goal
    )
}

fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The value at this share of sorted values (0.5 is the median).
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Peak-free resident memory of a process, MB.
fn resident_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kb = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1024.0
}
