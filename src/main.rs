//! `dspex-tui`: see the library. This binary never links libpython.

use std::process::ExitCode;

fn main() -> ExitCode {
    dspex_tui::run()
}
