//! C libraries, whose functions look names up: those of this system, and those that running
//! processes have mapped, in whatever mount namespace they are.

use std::path::PathBuf;

use libbpf_rs::Object;

use crate::attach::libraries;
use crate::attach::links::Links;
use crate::attach::plan::{Attachment, Role};
use crate::attach::uprobes::{Files, ProbeSet, mapped_libraries};
use crate::bpf::programs::Program;
use crate::error::{Error, Result};
use crate::output::messages::Messages;

/// How the files' names begin: glibc, and before 2.34 with its version; musl, which is its own
/// loader.
const LIBRARIES: [&str; 4] = ["libc.so.6", "libc-2.", "ld-musl-", "libc.musl-"];

/// The probes: once a file.
#[derive(Debug)]
pub(crate) struct Resolvers {
    /// Only this library.
    one: Option<PathBuf>,
    files: Files,
}

impl Resolvers {
    /// # Errors
    ///
    /// When one library is named, and it is none that can be traced.
    pub(crate) fn new(
        one: Option<PathBuf>,
        sets: &'static [ProbeSet],
        messages: &Messages,
    ) -> Result<Self> {
        let files = Files::new(messages, sets, Some(LIBRARIES[0]));
        if let Some(path) = &one {
            files.check(path)?;
        }
        Ok(Self { one, files })
    }
}

impl Attachment for Resolvers {
    fn programs(&self) -> Vec<(Program, Role)> {
        self.files.programs()
    }

    /// # Errors
    ///
    /// When there is no C library at all.
    fn attach(&mut self, object: &Object) -> Result<()> {
        if let Some(path) = &self.one {
            return self.files.attach(object, path);
        }
        self.files.watch(&LIBRARIES);
        let mut failure = None;
        for file in installed() {
            failure = self.files.attach(object, &file).err().or(failure);
        }
        self.refresh(object)?;
        match failure {
            _ if !self.files.is_empty() => Ok(()),
            Some(error) => Err(error),
            None => Err(Error::new("gethostlatency", "there is no C library in the usual places")),
        }
    }

    fn refresh(&mut self, object: &Object) -> Result<()> {
        if self.one.is_some() {
            return Ok(());
        }
        self.files.attach_to_processes(object, &|pid, _| mapped_libraries(pid, &LIBRARIES));
        for file in installed() {
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

/// What a process that starts later would map here.
fn installed() -> impl Iterator<Item = PathBuf> {
    LIBRARIES.iter().flat_map(|library| libraries::installed(library))
}
