//! The C compiler for BPF: which one, and its flags. Used by build.rs, and by the tests that
//! compile for the other architecture.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest clang that is known to compile the tools for every kernel of the matrix.
const OLDEST: u32 = 16;
/// Where the search for `clang-NN` begins; newer ones are found as plain `clang`.
const NEWEST: u32 = 40;

/// Finds clang: `$CLANG`, then `clang`, then the newest `clang-NN`, at least version 16.
///
/// # Errors
///
/// A message for the user that names the package to install.
pub(crate) fn find() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("CLANG").filter(|name| !name.is_empty()) {
        let named = PathBuf::from(named);
        return match version(&named) {
            Some(version) if version >= OLDEST => Ok(named),
            Some(version) => Err(format!(
                "$CLANG is {}, version {version}: {OLDEST} or later is needed",
                named.display()
            )),
            None => {
                Err(format!("$CLANG is {}, which does not run or is no clang", named.display()))
            }
        };
    }
    std::iter::once(PathBuf::from("clang"))
        .chain((OLDEST..=NEWEST).rev().map(|n| format!("clang-{n}").into()))
        .find(|name| version(name) >= Some(OLDEST))
        .ok_or_else(|| {
            format!(
                "clang {OLDEST} or later is needed to compile the BPF programs: install the \
                 package clang, or clang-{OLDEST} or later where clang is older, or name one in $CLANG"
            )
        })
}

/// The major version that `clang --version` prints.
fn version(clang: &Path) -> Option<u32> {
    let output = Command::new(clang).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = text.split("clang version ").nth(1)?;
    after.split('.').next()?.parse().ok()
}

/// The flags for one architecture, as the kernel's sources name it (`x86`, `arm64`).
///
/// `-mcpu=v2`: all that Linux 5.10 knows; with v3, newer clangs turn atomic additions into
/// instructions that came with 5.12. `-nostdinc` keeps the host's headers out. `-Wpadded`: what nobody
/// fills between members is the kernel's memory, and keys of maps that differ by it are different; the
/// headers of the kernel and of libbpf are system headers, which are not warned of. The verifier quotes
/// names of source files from the objects: they begin at `root`, wherever that is.
pub(crate) fn flags(arch: &str, root: &Path, libbpf: &Path) -> Vec<OsString> {
    let mut flags: Vec<OsString> =
        ["-nostdinc", "-mcpu=v2", "-Wall", "-Wpadded", "-Werror"].map(OsString::from).into();
    flags.push(format!("-D__TARGET_ARCH_{arch}").into());
    for (dir, name) in [(root, "."), (libbpf, "libbpf")] {
        flags.push(format!("-ffile-prefix-map={}={name}", dir.display()).into());
    }
    for dir in [&root.join("src/bpf/include"), &root.join("vmlinux"), libbpf] {
        flags.push("-I".into());
        flags.push(dir.into());
    }
    flags.extend(["vmlinux.h", "bpf/"].map(|name| format!("--system-header-prefix={name}").into()));
    flags
}
