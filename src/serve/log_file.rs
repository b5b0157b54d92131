//! The file that the records of a tool go to: opened once, never through a link; it gets another name
//! when it is large, and is opened anew when somebody else has given it one.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use crate::error::{Context as _, Error, Result};
use crate::output::buffer::Taker;
use crate::output::messages::Messages;

/// When a file gets another name, and how many with one are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub(super) at: u64,
    pub(super) kept: u32,
}

/// The run writes to it; the supervisor opens it, and gives it other names.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    rotation: Option<Rotation>,
    /// Bytes that it has, and when it is to get another name.
    size: u64,
    rotate_at: u64,
    messages: Messages,
    /// What has been said of it, and still is so.
    complaint: Option<String>,
}

impl LogFile {
    /// Opens it, or makes it: for its owner alone.
    ///
    /// # Errors
    ///
    /// When it cannot be, or is something else than a file of ours.
    pub(super) fn open(
        path: &Path,
        rotation: Option<Rotation>,
        messages: Messages,
    ) -> Result<Self> {
        let (file, size) = open(path)?;
        let rotate_at = rotation.map_or(u64::MAX, |rotation| rotation.at);
        let (path, complaint) = (path.to_owned(), None);
        Ok(Self { path, file, rotation, size, rotate_at, messages, complaint })
    }

    /// From now on another file, or the one that has the name now: what cannot be opened leaves it as it
    /// is.
    pub(super) fn reopen(&mut self, path: &Path, rotation: Option<Rotation>) {
        self.rotation = rotation;
        match open(path) {
            Ok((file, size)) => {
                (self.file, self.size, self.path) = (file, size, path.to_owned());
                self.rotate_at = rotation.map_or(u64::MAX, |rotation| rotation.at);
                self.complaint = None;
            }
            Err(error) => {
                self.complain(format!("{}; records go on to the file before", error.line()));
            }
        }
    }

    /// Makes it anew where somebody has deleted it, and gives it another name where it is large.
    pub(super) fn look_after(&mut self) {
        if is_deleted(&self.file) {
            if let Ok((file, size)) = open(&self.path) {
                (self.file, self.size) = (file, size);
                self.messages.say(format_args!("{} was deleted: made anew", self.name()));
            }
        } else if self.size >= self.rotate_at {
            self.rotate();
        }
    }

    fn rotate(&mut self) {
        let Some(rotation) = self.rotation else { return };
        // Not before it has grown again, if it cannot be done.
        self.rotate_at = self.size.saturating_add(rotation.at);
        for number in (1..rotation.kept).rev() {
            // Those that are not there yet.
            let _ = fs::rename(self.numbered(number), self.numbered(number + 1));
        }
        let renamed = fs::rename(&self.path, self.numbered(1));
        let opened = renamed.doing(format!("renaming {}", self.path.display()));
        match opened.and_then(|()| open(&self.path)) {
            Ok((file, size)) => (self.file, self.size, self.rotate_at) = (file, size, rotation.at),
            Err(error) => self.complain(error.line()),
        }
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// Once for the same.
    fn complain(&mut self, text: String) {
        if self.complaint.as_ref() != Some(&text) {
            self.messages.say(&text);
        }
        self.complaint = Some(text);
    }

    fn name(&self) -> String {
        crate::escape::text(self.path.as_os_str().as_encoded_bytes())
    }

    fn write_all(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        // What is written now nobody would find.
        if is_deleted(&self.file) {
            return (0, Some(io::Error::new(ErrorKind::NotFound, "it was deleted")));
        }
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return (written, Some(ErrorKind::WriteZero.into())),
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (written, Some(error)),
            }
        }
        (written, None)
    }
}

impl Taker for LogFile {
    fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        if bytes.is_empty() {
            return (0, None);
        }
        let (written, error) = self.write_all(bytes);
        self.size += written as u64;
        match &error {
            Some(error) => {
                let cause = Error::new(format!("writing {}", self.path.display()), error).line();
                self.complain(format!("{cause}; until it takes more, events are counted as lost"));
            }
            None if self.complaint.take().is_some() => {
                self.messages.say(format_args!("writing {}: it goes on", self.name()));
            }
            None => {}
        }
        (written, error)
    }

    fn take_back(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        let Ok(metadata) = self.file.metadata() else { return };
        // What cannot be cut stays.
        if bytes > 0 && self.file.set_len(metadata.len().saturating_sub(bytes)).is_ok() {
            self.size = self.size.saturating_sub(bytes);
        }
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn recovers(&self) -> bool {
        true
    }
}

/// For a tool whose records nobody wants: it is there for its metrics.
#[derive(Debug)]
pub(super) struct Nowhere;

impl Taker for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        (bytes.len(), None)
    }

    fn take_back(&mut self, _: usize) {}

    fn is_closed(&self) -> bool {
        false
    }
}

fn is_deleted(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// It, and how many bytes it has.
fn open(path: &Path) -> Result<(File, u64)> {
    let doing = || format!("opening {}", path.display());
    let mut options = File::options();
    // Whatever it is, opening it does not wait.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let options = options.append(true).create(true).mode(0o600).custom_flags(flags.bits());
    let file = options.open(path).doing(doing())?;
    let metadata = file.metadata().doing(doing())?;
    match refused(&metadata) {
        Some(cause) => Err(Error::new(doing(), cause)),
        None => Ok((file, metadata.len())),
    }
}

/// Why records must not be written there.
fn refused(metadata: &Metadata) -> Option<&'static str> {
    match metadata {
        other if !other.is_file() => Some("it is not a regular file"),
        other if other.uid() != geteuid().as_raw() => Some("it is another user's file"),
        other if other.nlink() > 1 => Some("it is a file that has other names, too"),
        _ => None,
    }
}
