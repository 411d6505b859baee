//! Tables of numbers: pandas' and numpy's, their first rows in columns.

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr as _;

use super::inline;

/// Rows that are shown.
const MOST: usize = 12;
/// Columns that are shown.
const MOST_COLUMNS: usize = 10;
/// Characters of one cell.
const CELL: usize = 32;

/// A pandas table: labels, columns, its first rows.
pub(super) fn frame(members: &Map<String, Value>) -> Vec<String> {
    let list = |key: &str| members.get(key).and_then(Value::as_array);
    let columns = list("columns").map(Vec::as_slice).unwrap_or_default();
    let data = list("data").map(Vec::as_slice).unwrap_or_default();
    let labels = labels(members);
    let len = members.get("len").and_then(Value::as_u64).unwrap_or(0) as usize;
    let mut rows = vec![
        std::iter::once(String::new())
            .chain(columns.iter().take(MOST_COLUMNS).map(cell))
            .collect::<Vec<_>>(),
    ];
    for at in 0..len.min(MOST) {
        let label = label(labels, at);
        let cells = data.iter().take(MOST_COLUMNS);
        let cells = cells.map(|column| column.get(at).map(cell).unwrap_or_default());
        rows.push(std::iter::once(label).chain(cells).collect());
    }
    let mut lines = aligned(&rows);
    lines.push(format!("{len} rows × {} columns", columns.len()));
    lines
}

/// A pandas column.
pub(super) fn series(members: &Map<String, Value>) -> Vec<String> {
    let data = members.get("data").and_then(Value::as_array);
    let data = data.map(Vec::as_slice).unwrap_or_default();
    let labels = labels(members);
    let rows: Vec<Vec<String>> = data
        .iter()
        .take(MOST)
        .enumerate()
        .map(|(at, value)| vec![label(labels, at), cell(value)])
        .collect();
    let mut lines = aligned(&rows);
    let len = members.get("len").and_then(Value::as_u64).unwrap_or(0);
    let dtype = members.get("dtype").map(cell).unwrap_or_default();
    lines.push(format!("{len} values of {dtype}"));
    lines
}

/// A numpy array.
pub(super) fn array(members: &Map<String, Value>) -> Vec<String> {
    let shape = members.get("shape").and_then(Value::as_array);
    let shape: Vec<String> = shape.into_iter().flatten().map(inline).collect();
    let dtype = members.get("dtype").map(inline).unwrap_or_default();
    let head = format!("array {} of {dtype}", shape.join(" × "));
    let data = members.get("data").filter(|data| !data.is_null());
    match data.or_else(|| members.get("head")) {
        Some(Value::Array(rows)) if rows.iter().any(Value::is_array) => {
            let cells = |row: &Value| -> Vec<String> {
                let row = row.as_array().map(Vec::as_slice).unwrap_or_default();
                row.iter().take(MOST_COLUMNS).map(cell).collect()
            };
            let shown: Vec<Vec<String>> = rows.iter().take(MOST).map(cells).collect();
            let mut lines = vec![head];
            lines.extend(aligned(&shown).iter().map(|line| format!("  {line}")));
            if rows.len() > MOST {
                lines.push(format!("  … {} more rows", rows.len() - MOST));
            }
            lines
        }
        Some(Value::Array(items)) => {
            let shown: Vec<String> = items.iter().take(MOST).map(cell).collect();
            let dots = if items.len() > MOST { ", …" } else { "" };
            vec![format!("{head}: {}{dots}", shown.join(", "))]
        }
        Some(one) => vec![format!("{head}: {}", cell(one))],
        None => vec![head],
    }
}

/// A row's label: its own, or its number.
fn label(labels: Option<&Vec<Value>>, at: usize) -> String {
    match labels {
        Some(labels) => labels.get(at).map(cell).unwrap_or_default(),
        None => at.to_string(),
    }
}

fn cell(value: &Value) -> String {
    let text = if value.is_null() {
        String::new()
    } else {
        inline(value).replace('\n', " ")
    };
    if text.chars().count() <= CELL {
        return text;
    }
    text.chars().take(CELL - 1).chain(['…']).collect()
}

fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// The labels of the rows; `None` where they are only numbered.
fn labels(members: &Map<String, Value>) -> Option<&Vec<Value>> {
    members.get("index")?.get("data")?.as_array()
}
