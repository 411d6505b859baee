//! `dspex-tui run FILE`: a script as a session.
//!
//! A `.py` file is one cell, or several where it has `# %%` lines; any other
//! file is a command script: `:commands` and Python statements. Each cell goes
//! through `run_cell` or `command`, so a script is recorded, traced and replayed
//! like anything typed. What the script prints goes to standard output as it
//! comes; everything else to standard error. Stops at the first error.

mod print;
pub mod split;

use std::path::Path;

use serde_json::json;

pub use print::Printer;
use split::{Piece, PieceKind};

use crate::app::Core;
use crate::protocol::error::OperationError;
use crate::session::event::{CellId, RunStatus};

/// Runs a file in the core's session. True when every cell ended well.
///
/// # Errors
/// When the file cannot be read, or there is no kernel to run it in.
pub async fn run(
    core: &mut Core,
    file: &Path,
    args: &[String],
    printer: &mut Printer,
) -> Result<bool, OperationError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let message = format!("`{}` cannot be read: {error}", file.display());
        OperationError::invalid("unreadable_file", message)
            .hint("name a `.py` file or a command script")
    })?;
    let is_python = file.extension().is_some_and(|extension| extension == "py");
    let pieces = if is_python {
        split::python(&text)
    } else {
        split::commands(&text)
    };
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    for piece in pieces {
        let ok = run_piece(core, &piece, &path, args, printer).await?;
        if !ok {
            printer.remark(&format!("{}:{}: stopped here", file.display(), piece.line));
            return Ok(false);
        }
    }
    Ok(true)
}

async fn run_piece(
    core: &mut Core,
    piece: &Piece,
    file: &Path,
    args: &[String],
    printer: &mut Printer,
) -> Result<bool, OperationError> {
    let cell = CellId(core.state().issued.cells + 1);
    let handle = core.handle();
    let answer = match piece.kind {
        PieceKind::Command => handle.submit("command", json!({"line": piece.source})),
        PieceKind::Markdown => handle.submit(
            "run_cell",
            json!({"source": piece.source, "kind": "markdown"}),
        ),
        PieceKind::Python => {
            // As many blank lines before the cell as stand before it in the file,
            // so that tracebacks name the file's own lines.
            let source = format!("{}{}", "\n".repeat(piece.line - 1), piece.source);
            handle.submit(
                "run_cell",
                json!({"source": source, "file": file, "argv": args}),
            )
        }
    };
    let mut answer = std::pin::pin!(answer);
    let answered = loop {
        tokio::select! {
            biased;
            answered = &mut answer => break answered,
            message = core.next() => {
                core.dispatch(message);
                printer.show(core.state(), cell);
            }
        }
    };
    core.settle();
    printer.show(core.state(), cell);
    printer.end_cell();
    match answered {
        Ok(Ok(_)) => {}
        // A command that failed has shown its error as its cell's output.
        Ok(Err(error)) if core.state().session.cell(cell).is_none() => return Err(error),
        Ok(Err(_)) => return Ok(false),
        Err(_) => return Err(OperationError::internal("the workbench is shutting down")),
    }
    let status = core.state().session.cell(cell).map(|cell| cell.status);
    Ok(status == Some(RunStatus::Ok))
}
