//! Files that may be somebody else's, who may exchange, change, cut or lease them at any time.
//! Opened once and without waiting, known by what was opened, read within a limit, and attached to
//! by the descriptor: a name is never looked up a second time.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::Mode;
use nix::sys::statfs::{
    CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC,
    fstatfs,
};

/// One file, whatever its names are, and however it is mounted: two overlays show the same file of
/// their lower layer with two devices, but the kernel puts probes into that file. So it is known by
/// its number, size and times.
pub(crate) type Identity = (u64, u64, (i64, i64), (i64, i64));

/// A regular file that is open for reading.
#[derive(Debug)]
pub(crate) struct ForeignFile {
    file: File,
    metadata: Metadata,
    /// What it was opened by, to be shown: it may lead elsewhere by now.
    name: PathBuf,
}

/// What a name leads to now. Nothing is opened.
pub(crate) fn identity_at(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|data| identity(&data))
}

fn identity(data: &Metadata) -> Identity {
    let (modified, changed) =
        ((data.mtime(), data.mtime_nsec()), (data.ctime(), data.ctime_nsec()));
    (data.ino(), data.size(), modified, changed)
}

impl ForeignFile {
    /// Opens a file, which is held first: nothing is done to a device or a pipe, since opening that
    /// may have effects. That somebody gives up a lease is not waited for: it is `WouldBlock`, and
    /// worth another try later.
    ///
    /// # Errors
    ///
    /// When it cannot be opened now, or is no regular file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let held = hold(path)?;
        if !held.metadata()?.is_file() || is_the_kernels(&held)? {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut options = File::options();
        let options = options.read(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open(path_of(&held)).map_err(explain)?;
        Ok(Self { metadata: file.metadata()?, file, name: path.into() })
    }

    /// What tells it from other files.
    pub(crate) fn identity(&self) -> Identity {
        identity(&self.metadata)
    }

    /// Device and number: no other file has them as long as this one is held.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.metadata.dev(), self.metadata.ino())
    }

    /// As it was when it was opened.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// A path that leads to this file, and to no other, as long as it is open here.
    pub(crate) fn path(&self) -> PathBuf {
        path_of(&self.file)
    }

    /// Its bytes, of which at most `limit` can be read in all.
    pub(crate) fn reader(&self, limit: u64) -> Reader<'_> {
        Reader { file: self, at: 0, left: limit }
    }
}

/// Opens whatever it is, and does nothing to it. Not by the standard library, which takes `O_PATH` out of
/// the flags with musl, where it is a part of `O_ACCMODE`.
pub(crate) fn hold(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open(path, flags, Mode::empty())?.into())
}

/// Is it of a file system by which the kernel tells something? To read such a file may have effects: a
/// message of the kernel's that was read in /proc/kmsg is gone.
fn is_the_kernels(held: &File) -> io::Result<bool> {
    const KERNELS: [FsType; 5] =
        [PROC_SUPER_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, DEBUGFS_MAGIC, CGROUP2_SUPER_MAGIC];
    Ok(KERNELS.contains(&fstatfs(held)?.filesystem_type()))
}

fn path_of(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Somebody holds a lease on the file, and the kernel would have us wait until he gives it up.
fn explain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(error.kind(), "somebody holds a lease on it"),
        _ => error,
    }
}

impl AsFd for ForeignFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Display for ForeignFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.name.display().fmt(f)
    }
}

/// Reads a file up to a limit. A part that the owner cuts off meanwhile is an error, not a signal
/// as it would be in a mapping.
#[derive(Debug)]
pub(crate) struct Reader<'f> {
    file: &'f ForeignFile,
    at: u64,
    left: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(buffer.len() as u64) else {
            return Err(io::Error::other("more of it would have to be read than is allowed"));
        };
        let len = self.file.file.read_at(buffer, self.at)?;
        (self.at, self.left) = (self.at + len as u64, left);
        Ok(len)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let from = |base: u64, offset: i64| {
            base.checked_add_signed(offset).ok_or(io::Error::from(io::ErrorKind::InvalidInput))
        };
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(offset) => from(self.at, offset)?,
            SeekFrom::End(offset) => from(self.file.metadata.len(), offset)?,
        };
        Ok(self.at)
    }
}

/// Opens a regular file below a directory, which belongs to one of these users. Links, if they are
/// followed, do not lead out of the directory.
pub(crate) fn open_below(
    below: &str,
    path: &[u8],
    how: ResolveFlag,
    users: &[u32],
) -> Option<ForeignFile> {
    let directory = hold(below.as_ref()).ok()?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(how | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let held = openat2(directory, path, how).ok()?;
    let file = ForeignFile::open(format!("/proc/self/fd/{}", held.as_raw_fd()).as_ref()).ok()?;
    users.contains(&file.metadata().uid()).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_no_more_than_the_limit() {
        let file = ForeignFile::open(Path::new("/proc/self/exe")).unwrap();
        let mut reader = file.reader(8);
        let mut four = [0; 4];
        reader.read_exact(&mut four).unwrap();
        assert_eq!(four, object::elf::ELFMAG);
        reader.seek(SeekFrom::Start(0)).unwrap();
        reader.read_exact(&mut four).unwrap();
        assert!(reader.read_exact(&mut four).is_err());
    }

    #[test]
    fn waits_for_nobody() {
        let dir = std::env::temp_dir().join(format!("ebtools-foreign-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let fifo = dir.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in
            [fifo.as_path(), Path::new("/dev/null"), Path::new("/"), Path::new("/proc/version")]
        {
            assert!(ForeignFile::open(path).is_err(), "{}", path.display());
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn leads_to_what_was_opened() {
        let file = ForeignFile::open(Path::new("/proc/self/exe")).unwrap();
        let again = ForeignFile::open(&file.path()).unwrap();
        assert_eq!(file.identity(), again.identity());
    }
}
