//! The file that the records of a tool go to: opened once, never through a link; it gets another name
//! when it is large, and is opened anew when somebody else has given it one.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, eaccess, geteuid};

use crate::error::{Context as _, Error, Result};
use crate::output::buffer::Taker;
use crate::output::messages::Messages;
use crate::serve::complaint::Complaint;
use crate::serve::config::with_suffix;

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
    /// It has another name, and no file has its own: that could not be made.
    is_moved: bool,
    messages: Messages,
    writing: Complaint,
    /// Opening and renaming.
    keeping: Complaint,
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
        let (path, writing) = (path.to_owned(), Complaint::new(messages.clone()));
        let keeping = Complaint::new(messages.clone());
        let (rotate_at, is_moved) = (0, false);
        let mut log =
            Self { path, file, rotation, size, rotate_at, is_moved, messages, writing, keeping };
        log.begin_to_grow();
        Ok(log)
    }

    /// One file, whatever its names are.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        self.file.metadata().ok().map(|metadata| identity(&metadata))
    }

    /// Can files be made and renamed where it is, with the rights that are left?
    pub(super) fn check_directory(&self) {
        let dir = self.path.parent().unwrap_or(&self.path);
        if eaccess(dir, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
            self.messages.say(format_args!(
                "{}: its directory is another user's: it can be neither renamed nor made anew",
                self.name()
            ));
        }
    }

    /// From now on another file, or the one that has the name now: what cannot be opened leaves it as it
    /// is.
    pub(super) fn reopen(&mut self, path: &Path, rotation: Option<Rotation>) {
        match open(path) {
            Ok(opened) => {
                (self.path, self.rotation) = (path.to_owned(), rotation);
                self.go_on_in(opened);
            }
            Err(error) => {
                let text = format!("{}; records go on to the file before", error.line());
                self.keeping.tell(Some(text));
            }
        }
    }

    fn go_on_in(&mut self, (file, size): (File, u64)) {
        (self.file, self.size, self.is_moved) = (file, size, false);
        self.writing.end();
        self.keeping.end();
        self.begin_to_grow();
    }

    fn begin_to_grow(&mut self) {
        self.rotate_at = self.rotation.map_or(u64::MAX, |rotation| rotation.at);
    }

    /// Makes it anew where somebody has deleted it, and gives it another name where it is large.
    pub(super) fn look_after(&mut self) {
        let is_deleted = is_deleted(&self.file);
        // Somebody may have cut it.
        self.size = self.file.metadata().map_or(self.size, |metadata| metadata.len());
        if is_deleted || self.is_moved {
            if let Ok(opened) = open(&self.path) {
                self.go_on_in(opened);
                if is_deleted {
                    self.messages.say(format_args!("{} was deleted: made anew", self.name()));
                }
            }
        } else if self.size >= self.rotate_at {
            self.rotate();
        }
    }

    fn rotate(&mut self) {
        let Some(rotation) = self.rotation else { return };
        // Not before it has grown again, if it cannot be done.
        self.rotate_at = self.size.saturating_add(rotation.at);
        let now = fs::symlink_metadata(&self.path);
        if now.is_ok_and(|now| Some(identity(&now)) != self.identity()) {
            // Somebody else's by now: it is reopened when he says so.
            return;
        }
        for number in (1..rotation.kept).rev() {
            // Those that are not there yet.
            let _ = fs::rename(self.numbered(number), self.numbered(number + 1));
        }
        match fs::rename(&self.path, self.numbered(1)) {
            Ok(()) => match open(&self.path) {
                Ok(opened) => self.go_on_in(opened),
                Err(error) => {
                    self.is_moved = true;
                    self.keeping.tell(Some(error.line()));
                }
            },
            Err(error) => {
                let doing = format!("renaming {}", self.path.display());
                self.keeping.tell(Some(Error::new(doing, error).line()));
            }
        }
    }

    fn numbered(&self, number: u32) -> PathBuf {
        with_suffix(&self.path, &format!(".{number}"))
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
                let text = format!("{cause}; until it takes more, events are counted as lost");
                self.writing.tell(Some(text));
            }
            None if self.writing.end() => {
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

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
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
    let options = options.read(true).append(true).create(true).mode(0o600);
    let opened = options.custom_flags(flags.bits()).open(path);
    let mut file = opened.map_err(|error| {
        let dir = path.parent().filter(|dir| error.kind() == ErrorKind::NotFound && !dir.exists());
        let error = Error::new(doing(), error);
        match dir {
            Some(dir) => error.hint(format!("mkdir -m 700 {}", dir.display())),
            None => error,
        }
    })?;
    let metadata = file.metadata().doing(doing())?;
    if let Some(cause) = refused(&metadata) {
        return Err(Error::new(doing(), cause));
    }
    // Half a line is there since a power failure, or a SIGKILL: the next one begins after it.
    let (mut last, len) = ([b'\n'], metadata.len());
    if len > 0 && file.read_at(&mut last, len - 1).is_ok() && last != *b"\n" {
        file.write_all(b"\n").doing(doing())?;
    }
    Ok((file, len))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::host::Host;

    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("ebtools-log-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn log(dir: &Path, at: u64, kept: u32) -> LogFile {
        let messages = Host::standard().unwrap().messages;
        LogFile::open(&dir.join("log"), Some(Rotation { at, kept }), messages).unwrap()
    }

    fn text(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn the_newest_are_kept() {
        let dir = dir("rotates");
        let mut log = log(&dir, 4, 2);
        for line in ["one\n", "two\n", "three\n", "4\n"] {
            assert_eq!(log.write(line.as_bytes()).0, line.len());
            log.look_after();
        }
        let files = ["log", "log.1", "log.2", "log.3"].map(|name| text(&dir, name));
        assert_eq!(files[..3], ["4\n", "three\n", "two\n"]);
        assert!(files[3].starts_with("No such file"), "{files:?}");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn somebody_elses_file_keeps_its_name() {
        let dir = dir("moved");
        let mut log = log(&dir, 4, 1);
        fs::rename(dir.join("log"), dir.join("elsewhere")).unwrap();
        fs::write(dir.join("log"), "other\n").unwrap();
        log.write(b"line\n");
        log.look_after();
        assert_eq!(
            (text(&dir, "log"), text(&dir, "elsewhere")),
            ("other\n".into(), "line\n".into())
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn half_a_line_is_ended() {
        let dir = dir("half");
        fs::write(dir.join("log"), "half").unwrap();
        log(&dir, 100, 1).write(b"whole\n");
        log(&dir, 100, 1).write(b"next\n");
        assert_eq!(text(&dir, "log"), "half\nwhole\nnext\n");
        fs::remove_dir_all(dir).unwrap();
    }
}
