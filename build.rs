//! Links `dspex-worker`, and only it, against the libpython it was built for.
//!
//! Without a run path in the binary the system loader takes the first
//! `libpython3.X.so` it meets, which need not be the one the headers came from.

fn main() {
    #[cfg(feature = "worker")]
    link_worker();
}

#[cfg(feature = "worker")]
fn link_worker() {
    let config = pyo3_build_config::get();
    if let Some(dir) = config.lib_dir() {
        println!("cargo:rustc-link-arg-bin=dspex-worker=-Wl,-rpath,{dir}");
        // DT_RPATH is searched before LD_LIBRARY_PATH; DT_RUNPATH after it.
        println!("cargo:rustc-link-arg-bin=dspex-worker=-Wl,--disable-new-dtags");
    }
    println!(
        "cargo:rustc-env=DSPEX_WORKER_PYTHON={}.{}",
        config.version().major,
        config.version().minor
    );
}
