//! Tells the linker where libtorch lies, so that what is built runs without LD_LIBRARY_PATH.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=LIBTORCH_LIB");
    let Some(root) = env::var_os("LIBTORCH_LIB").or_else(|| env::var_os("LIBTORCH")) else {
        return; // a system-wide libtorch, which the loader finds by itself
    };
    let lib = PathBuf::from(&root).join("lib");
    // The libraries find one another relative to where they really lie.
    let lib = fs::canonicalize(&lib).unwrap_or(lib);
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    // With CUDA: where libtorch.sh gathers what libtorch's own libraries need, for the linker to look at.
    let needed = lib.with_file_name("nvidia");
    if let Some(needed) = [PathBuf::from(&root).join("nvidia"), needed]
        .into_iter()
        .find(|path| path.is_dir())
    {
        println!("cargo::rustc-link-arg=-Wl,-rpath-link,{}", needed.display());
    }
}
