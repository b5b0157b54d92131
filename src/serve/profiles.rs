//! Profiles for pprof, one of each interval: a directory in which the newest are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use chrono::{SecondsFormat, Utc};

use crate::error::{Context as _, Error, Result};
use crate::output::messages::Messages;
use crate::serve::complaint::Complaint;
use crate::serve::whole_file;

/// So many may wait to be written: then more are dropped, and that is said.
const WAITING: usize = 4;

/// What a tool hands over, and where it goes.
#[derive(Debug)]
pub(super) struct Profiles {
    dir: PathBuf,
    name: String,
    kept: usize,
    from: Receiver<Vec<u8>>,
    complaint: Complaint,
}

impl Profiles {
    /// Those of a tool with this name; it is given the other end.
    ///
    /// # Errors
    ///
    /// When there is no such directory.
    pub(super) fn new(
        dir: &Path,
        name: &str,
        kept: usize,
        messages: Messages,
    ) -> Result<(Self, SyncSender<Vec<u8>>)> {
        let doing = || format!("opening {}", dir.display());
        if !fs::metadata(dir).doing(doing())?.is_dir() {
            return Err(Error::new(doing(), "it is not a directory"));
        }
        let (to, from) = sync_channel(WAITING);
        let (dir, name) = (dir.to_owned(), name.to_string());
        Ok((Self { dir, name, kept, from, complaint: Complaint::new(messages) }, to))
    }

    /// Writes what has come, and removes what is too old.
    pub(super) fn look_after(&mut self) {
        while let Ok(profile) = self.from.try_recv() {
            let failure = self.write(&profile).err();
            self.complaint.tell(failure.map(|error| error.line()));
        }
    }

    fn write(&self, profile: &[u8]) -> Result<()> {
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true).replace(':', "");
        let path = self.dir.join(format!("{}{time}{END}", self.beginning()));
        whole_file::write(&path, profile, 0o600)?;
        self.remove_old().doing(format!("writing {}", path.display()))
    }

    fn beginning(&self) -> String {
        format!("{}-", self.name)
    }

    /// Their names are in the order of their times.
    fn remove_old(&self) -> std::io::Result<()> {
        let is_ours = |name: &str| {
            let time = name.strip_prefix(&self.beginning()).and_then(|rest| rest.strip_suffix(END));
            time.is_some_and(|time| time.starts_with(|c: char| c.is_ascii_digit()))
        };
        let names = fs::read_dir(&self.dir)?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut names = names.filter(|name| is_ours(name)).collect::<Vec<_>>();
        names.sort_unstable();
        let old = names.len().saturating_sub(self.kept);
        names[..old].iter().try_for_each(|name| fs::remove_file(self.dir.join(name)))
    }
}

/// What pprof files are called.
const END: &str = ".pb.gz";
