//! Python inside this process: checked before, started once, never finalised.
#![expect(
    unsafe_code,
    reason = "PyConfig, without which the environment cannot be chosen, is a C interface"
)]

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use pyo3::ffi;
use pyo3::prelude::*;

use super::link::Link;
use super::module::_dspex;
use super::{gate, module};

/// The minor version of Python this binary was linked against.
pub(super) const BUILT_FOR: &str = env!("DSPEX_WORKER_PYTHON");

/// The version of the libpython that was loaded, `3.11.7`.
pub(super) fn version() -> String {
    // SAFETY: Py_GetVersion may be called before initialisation and answers a
    // static string.
    let text = unsafe { CStr::from_ptr(ffi::Py_GetVersion()) };
    let text = text.to_string_lossy();
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Refuses an environment whose Python is not the one this binary was built
/// for: it would start, and then silently find none of its packages.
pub(super) fn check(python: &Path) -> Result<(), String> {
    let loaded = version();
    let minor = |version: &str| version.split('.').take(2).collect::<Vec<_>>().join(".");
    if minor(&loaded) != BUILT_FOR {
        return Err(format!(
            "this worker was built for Python {BUILT_FOR} but the system loaded libpython \
             {loaded}: build it again with `make worker PYTHON={}`",
            python.display()
        ));
    }
    let environment = python.parent().and_then(Path::parent).unwrap_or(python);
    let config = std::fs::read_to_string(environment.join("pyvenv.cfg")).unwrap_or_default();
    let wanted = dspex_tui::worker::environment::version_in_config(&config).unwrap_or_default();
    if !wanted.is_empty() && minor(&wanted) != BUILT_FOR {
        return Err(format!(
            "the environment {} is of Python {wanted} but this worker was built for Python \
             {BUILT_FOR}: build one for it with `make worker PYTHON={}`",
            environment.display(),
            python.display()
        ));
    }
    Ok(())
}

/// Starts Python as `python` would, isolated from `PYTHON*` variables, and lets
/// go of the GIL. Call once, on the main thread.
pub(super) fn initialise(python: &Path) -> Result<(), String> {
    let executable = CString::new(python.as_os_str().as_bytes())
        .map_err(|_| "the path of Python contains a NUL byte".to_owned())?;
    pyo3::append_to_inittab!(_dspex);
    // SAFETY: the calls of PEP 587 in its order; every status is checked, and
    // the configurations outlive their use.
    unsafe {
        let mut early = MaybeUninit::<ffi::PyPreConfig>::zeroed();
        ffi::PyPreConfig_InitIsolatedConfig(early.as_mut_ptr());
        // An isolated start would otherwise read files as ASCII.
        (*early.as_mut_ptr()).utf8_mode = 1;
        (*early.as_mut_ptr()).configure_locale = 1;
        checked(ffi::Py_PreInitialize(early.as_ptr()))?;

        let mut config = MaybeUninit::<ffi::PyConfig>::zeroed();
        let config = config.as_mut_ptr();
        ffi::PyConfig_InitIsolatedConfig(config);
        (*config).parse_argv = 0;
        (*config).buffered_stdio = 0;
        (*config).install_signal_handlers = 1;
        let name = &raw mut (*config).program_name;
        checked(ffi::PyConfig_SetBytesString(
            config,
            name,
            executable.as_ptr(),
        ))?;
        let name = &raw mut (*config).executable;
        checked(ffi::PyConfig_SetBytesString(
            config,
            name,
            executable.as_ptr(),
        ))?;
        let started = checked(ffi::Py_InitializeFromConfig(config));
        ffi::PyConfig_Clear(config);
        started?;
        ffi::PyEval_SaveThread();
    }
    Python::attach(|py| {
        // A libpython and a standard library of different makes part ways here.
        py.import("_posixsubprocess").map(drop)
    })
    .map_err(|_| {
        format!(
            "this worker was built against another distribution of Python {BUILT_FOR} than the \
             environment's: build one for it with `make worker PYTHON={}`",
            python.display()
        )
    })?;
    super::reader::spawn("dspex-callbacks", dispatch)
}

/// Imports the package and runs its `main` on this thread; answers the exit status.
pub(super) fn run_main(package: &Path) -> i32 {
    Python::attach(|py| {
        let done = (|| {
            let path = py.import("sys")?.getattr("path")?;
            path.call_method1("append", (package.as_os_str(),))?;
            let worker = py.import("dspex_worker")?;
            // Like an interactive Python: the working directory first.
            path.call_method1("insert", (0, ""))?;
            worker.call_method0("main")
        })();
        match done {
            Ok(_) => 0,
            Err(error) => {
                error.print_and_set_sys_last_vars(py);
                1
            }
        }
    })
}

/// Calls back into Python for what the reader delivered to asynchronous calls.
fn dispatch() {
    let Some(link) = Link::get() else { return };
    loop {
        let pieces = link.gate.next_pieces();
        Python::attach(|py| {
            for (callback, piece) in pieces {
                let arguments = match piece {
                    gate::Piece::Answer(answer) => module::answer_arguments(py, answer),
                    gate::Piece::Chunk(chunk) => module::chunk_arguments(py, chunk),
                    gate::Piece::Cancelled => Ok(module::cancelled_arguments(py)),
                };
                if let Err(error) = arguments.and_then(|arguments| callback.call1(py, arguments)) {
                    // A closed event loop: nobody waits any more.
                    error.write_unraisable(py, None);
                }
            }
        });
    }
}

/// # Safety
///
/// `status` must come from the initialisation interface.
unsafe fn checked(status: ffi::PyStatus) -> Result<(), String> {
    // SAFETY: a status is a plain value; its message is a static string or null.
    unsafe {
        if ffi::PyStatus_Exception(status) == 0 {
            return Ok(());
        }
        let reason = if status.err_msg.is_null() {
            "no reason given".into()
        } else {
            CStr::from_ptr(status.err_msg).to_string_lossy()
        };
        Err(format!("Python did not start: {reason}"))
    }
}
