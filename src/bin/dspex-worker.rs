//! `dspex-worker`: a process that embeds one Python and runs DSPy for the
//! workbench. Started by `dspex-tui` only; `--python-version` tells what it
//! was built for.

#[path = "../python.rs"]
mod python;

fn main() -> std::process::ExitCode {
    python::run()
}
