//! Every BPF program compiles for both architectures, whichever this machine is.

#![allow(clippy::expect_used)] // A test that cannot go on ends.

use std::path::Path;
use std::process::Command;

#[path = "../build/clang.rs"]
mod clang;

#[test]
fn every_program_compiles_for_both() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let clang = clang::find().expect("the build found clang too");
    let libbpf = Path::new(env!("EBTOOLS_LIBBPF_HEADERS"));
    let mut compiled = 0;
    for entry in root.join("src/bpf").read_dir().expect("the sources are here") {
        let source = entry.expect("the directory can be read").path();
        if !source.to_string_lossy().ends_with(".bpf.c") {
            continue;
        }
        for arch in ["x86", "arm64"] {
            let output = Command::new(&clang)
                .args(clang::flags(arch, root, libbpf))
                .args(["-g", "-O2", "-target", "bpf", "-c", "-o", "/dev/null"])
                .arg(&source)
                .output()
                .expect("clang can be run");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} for {arch}:\n{said}", source.display());
            compiled += 1;
        }
    }
    assert!(compiled >= 8, "only {compiled} objects");
}
