//! Links `dspex-worker`, and only it, against the libpython it was built for, and
//! lists the files of the Python package it carries.
//!
//! Without a run path in the binary the system loader takes the first
//! `libpython3.X.so` it meets, which need not be the one the headers came from.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "worker")]
    {
        link_worker();
        carry_package().expect("python/dspex_worker is readable and OUT_DIR writable");
    }
}

/// Writes `package.rs`: an array of `(path, contents)` of every Python file. What
/// Python compiles and leaves beside them is not carried, and changes nothing.
#[cfg(feature = "worker")]
fn carry_package() -> std::io::Result<()> {
    use std::path::{Path, PathBuf};

    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .unwrap_or_default()
    };
    let package = variable("CARGO_MANIFEST_DIR").join("python/dspex_worker");
    let mut files = Vec::new();
    let mut folders = vec![package.clone()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| {
                ["py", "js", "json", "jsonl"]
                    .iter()
                    .any(|it| extension == *it)
            }) {
                files.push(path);
            }
        }
    }
    files.sort();
    let entry = |file: &PathBuf| {
        println!("cargo:rerun-if-changed={}", file.display());
        let name = file.strip_prefix(&package).unwrap_or(Path::new(""));
        let (name, file) = (name.to_string_lossy(), file.to_string_lossy());
        format!("    ({name:?}, include_bytes!({file:?})),\n")
    };
    let entries: String = files.iter().map(entry).collect();
    std::fs::write(
        variable("OUT_DIR").join("package.rs"),
        format!("&[\n{entries}]"),
    )
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
