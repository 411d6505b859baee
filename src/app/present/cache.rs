//! What the caches hold, in plain words: a line for each kind on disk, the quota, and
//! the optimisations that are kept.

use serde_json::Value;

use crate::app::answer::{count, is, list, text};

/// A `cache` answer.
pub(super) fn plain(result: &Value) -> String {
    if let Some(removed) = result.get("removed") {
        let in_use = match count(removed, "in_use") {
            0 => String::new(),
            some => format!(", {some} in use stayed"),
        };
        return format!(
            "{} removed, {} freed{in_use}; {} optimisations forgotten",
            count(removed, "removed"),
            megabytes(count(removed, "bytes")),
            count(result, "optimisations"),
        );
    }
    let mut lines: Vec<String> = list(result, "parts")
        .map(|part| {
            format!(
                "{:<18} {:>5}  {:>10}  {}{}",
                text(part, "what"),
                count(part, "count"),
                megabytes(count(part, "bytes")),
                text(part, "path"),
                if is(part, "cleared") { "" } else { "  (stays)" },
            )
        })
        .collect();
    lines.push(format!(
        "{:<18} {} of {} (`[cache]` `max_mb` of the settings)",
        "can be cleared",
        megabytes(count(result, "bytes")),
        megabytes(count(result, "quota_bytes")),
    ));
    if let Some(kept) = result.get("optimisations") {
        lines.push(format!(
            "{:<18} {} of {} kept · {} hits · {} misses · {} expired · {} evicted",
            "optimisations",
            count(kept, "kept"),
            count(kept, "most"),
            count(kept, "hits"),
            count(kept, "misses"),
            count(kept, "expired"),
            count(kept, "evicted"),
        ));
    }
    lines.join("\n")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / crate::cache::MB as f64)
}
