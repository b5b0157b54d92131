//! Libraries and programs of this system, by their names.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::error::{Error, Result};
use crate::system::foreign::ForeignFile;

/// Files in the usual places whose name begins with `library`.
pub(crate) fn installed(library: &str) -> Vec<PathBuf> {
    let entries = dirs().filter_map(|dir| dir.read_dir().ok()).flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(library));
    let mut paths = named.map(|entry| entry.path()).collect::<Vec<_>>();
    paths.sort_unstable();
    paths
}

/// Where the library of this file name is, in the usual places.
pub(crate) fn place_of(file_name: &str) -> Option<PathBuf> {
    dirs().map(|dir| dir.join(file_name)).find(|path| path.is_file())
}

/// The library that programs are linked to by this name: a linker's script may have it too.
fn library(name: &str) -> Option<PathBuf> {
    let is_elf = |path: &PathBuf| {
        let mut magic = [0; 4];
        let file = ForeignFile::open(path);
        let read = file.and_then(|file| file.reader(4).read_exact(&mut magic));
        read.is_ok() && magic == object::elf::ELFMAG
    };
    installed(name).into_iter().find(is_elf)
}

/// What a user means by a file: a path, the short name of a library, like `c` for libc.so.6, or the
/// name of a program.
///
/// # Errors
///
/// When there is no such library and no such program. A path is not looked for.
pub(crate) fn named(name: &str) -> Result<PathBuf> {
    if name.contains('/') {
        return Ok(name.into());
    }
    let short = name.trim_start_matches("lib");
    let program = || program(name.as_ref());
    library(&format!("lib{short}.so")).or_else(program).ok_or_else(|| {
        let cause = format!("there is no library lib{short}.so and no program of that name");
        Error::new(format!("looking for '{name}'"), cause)
            .hint("a file is named by its path, here too: ./app")
    })
}

/// Where the dynamic linker looks by default, on the distributions there are.
fn dirs() -> impl Iterator<Item = PathBuf> {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let dirs = ["/usr/local/lib", "/lib", "/usr/lib", "/lib64", "/usr/lib64"];
    dirs.into_iter().flat_map(move |dir| [Path::new(dir).join(&triplet), dir.into()])
}

/// Where a program without a slash is, as a shell would find it.
pub(crate) fn program(name: &OsStr) -> Option<PathBuf> {
    if name.as_encoded_bytes().contains(&b'/') {
        return None;
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_program(file))
}

/// May it be run?
pub(crate) fn is_program(file: &Path) -> bool {
    access(file, AccessFlags::X_OK).is_ok() && file.is_file()
}
