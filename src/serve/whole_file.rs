//! Files that others read while they are written: never half of one.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{Context as _, Result};
use crate::serve::config::with_suffix;

/// Writes a file beside it, which then gets its name.
///
/// # Errors
///
/// When it cannot be written: then the file is as it was.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let new = &with_suffix(path, ".new");
    let mut options = File::options();
    // Through no link.
    let options = options.write(true).create_new(true).mode(mode);
    let file = options.open(new).or_else(|error| {
        // One that is left from before, or somebody's link.
        let is_there = error.kind() == ErrorKind::AlreadyExists;
        let removed = if is_there { fs::remove_file(new) } else { Err(error) };
        removed.and_then(|()| options.open(new))
    });
    let written = file.and_then(|mut file| file.write_all(bytes));
    let renamed = written.and_then(|()| fs::rename(new, path));
    if renamed.is_err() {
        let _ = fs::remove_file(new);
    }
    renamed.doing(format!("writing {}", path.display()))
}
