//! Programs that read lines with readline: found among the running ones, in whatever mount
//! namespace they are, and looked for again while they come and go.

use std::path::PathBuf;

use libbpf_rs::Object;

use crate::attach::libraries;
use crate::attach::links::Links;
use crate::attach::plan::{Attachment, Role};
use crate::attach::uprobes::{Files, ProbeSet, executable, mapped_libraries};
use crate::bpf::programs::Program;
use crate::error::{Error, Result};
use crate::output::messages::Messages;

const LIBRARY: &str = "libreadline.so";

/// Whose lines are wanted.
#[derive(Debug)]
pub(crate) enum Which {
    /// Those of one program or library.
    One(PathBuf),
    /// Those of bash, wherever there is one.
    AllShells,
    /// Those of every program that uses libreadline.
    AllPrograms,
}

/// The probes: one for each file.
#[derive(Debug)]
pub(crate) struct Shells {
    which: Which,
    files: Files,
}

impl Shells {
    /// # Errors
    ///
    /// When one file is named, and it is none that can be traced.
    pub(crate) fn new(
        which: Which,
        sets: &'static [ProbeSet],
        messages: &Messages,
    ) -> Result<Self> {
        let files = Files::new(messages, sets, Some(LIBRARY));
        if let Which::One(path) = &which {
            files.check(path)?;
        }
        Ok(Self { which, files })
    }

    /// What a shell that starts later would run here.
    fn installed(&self) -> Vec<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let usual = ["/bin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
        let dirs = usual.into_iter().chain(std::env::split_paths(&path));
        let mut files = dirs.map(|dir| dir.join("bash")).collect::<Vec<_>>();
        if matches!(self.which, Which::AllPrograms) {
            files.extend(libraries::installed(LIBRARY));
        }
        files.retain(|file| file.is_file());
        files
    }
}

impl Attachment for Shells {
    fn programs(&self) -> Vec<(Program, Role)> {
        self.files.programs()
    }

    /// Attaches to what there is: the files that new shells will run, and those that run.
    ///
    /// # Errors
    ///
    /// When there is nothing at all.
    fn attach(&mut self, object: &Object) -> Result<()> {
        if let Which::One(path) = &self.which {
            return self.files.attach(object, path);
        }
        self.files.watch(&[LIBRARY]);
        let mut failure = None;
        for path in self.installed() {
            failure = self.files.attach(object, &path).err().or(failure);
        }
        self.refresh(object)?;
        match failure {
            _ if !self.files.is_empty() => Ok(()),
            Some(error) => Err(error),
            None => Err(Error::new(
                "readline",
                "there is no bash in /bin, /usr/bin, /usr/local/bin or $PATH",
            )
            .hint("name a program that uses libreadline: -s PATH")),
        }
    }

    fn refresh(&mut self, object: &Object) -> Result<()> {
        if matches!(self.which, Which::One(_)) {
            return Ok(());
        }
        let all = matches!(self.which, Which::AllPrograms);
        self.files.attach_to_processes(object, &|pid, name| {
            if !(all || name == "bash" || name == "rbash") {
                return Ok(Vec::new());
            }
            let libraries = mapped_libraries(pid, &[LIBRARY])?;
            Ok([executable(pid)].into_iter().chain(libraries).collect())
        });
        // New installations, and upgrades that no process runs yet.
        for file in self.installed() {
            if let Err(error) = self.files.attach(object, &file) {
                self.files.note(&error.line());
            }
        }
        Ok(())
    }

    fn unattached(&self) -> u64 {
        self.files.unattached()
    }

    fn take_links(&mut self) -> Links {
        self.files.take_links()
    }
}
