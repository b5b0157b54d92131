//! Metrics as a file, for a collector that reads files: never half of it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::error::{Context as _, Result};
use crate::serve::config::with_suffix;
use crate::serve::exposition::{self, Flavour, Subject};

/// Writes all of them to a file beside it, which then gets its name.
///
/// # Errors
///
/// When it cannot be written: then the file is as it was.
pub(super) fn write(path: &Path, subjects: &[Subject]) -> Result<()> {
    let doing = || format!("writing {}", path.display());
    let other = &with_suffix(path, ".new");
    let mut options = File::options();
    let options = options.write(true).create_new(true).mode(0o644);
    let options = options.custom_flags(OFlag::O_NOFOLLOW.bits());
    let file = options.open(other).or_else(|error| {
        // One that is left from before, or somebody's link.
        let is_there = error.kind() == ErrorKind::AlreadyExists;
        let removed = if is_there { fs::remove_file(other) } else { Err(error) };
        removed.and_then(|()| options.open(other))
    });
    let text = exposition::text(Flavour::Prometheus, subjects);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    let renamed = written.and_then(|()| fs::rename(other, path));
    if renamed.is_err() {
        let _ = fs::remove_file(other);
    }
    renamed.doing(doing())
}
