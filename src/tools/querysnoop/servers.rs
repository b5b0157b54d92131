//! Database servers: found among the running programs, in whatever mount namespace they are, and
//! looked for again while they come and go.

use std::path::PathBuf;

use libbpf_rs::Object;

use crate::attach::links::Links;
use crate::attach::plan::{Attachment, Role};
use crate::attach::uprobes::{Files, ProbeSet, executable};
use crate::bpf::programs::Program;
use crate::error::{Context as _, Error, Result};
use crate::output::messages::Messages;

/// The probes: once a file.
#[derive(Debug)]
pub(crate) struct Servers {
    /// Only this program.
    one: Option<PathBuf>,
    /// How the programs of wanted servers are called.
    programs: &'static [&'static str],
    files: Files,
    messages: Messages,
}

impl Servers {
    /// # Errors
    ///
    /// When one program is named, and it is none that can be traced.
    pub(crate) fn new(
        one: Option<PathBuf>,
        programs: &'static [&'static str],
        sets: &'static [ProbeSet],
        messages: &Messages,
    ) -> Result<Self> {
        let files = Files::new(messages, sets, None);
        if let Some(path) = &one {
            let doing = || format!("looking for queries in {}", path.display());
            path.metadata().doing(doing())?;
            if files.check(path).is_err() {
                let cause = "it is no PostgreSQL, MySQL or MariaDB server that can be traced";
                return Err(Error::new(doing(), cause));
            }
        }
        Ok(Self { one, programs, files, messages: messages.clone() })
    }
}

impl Attachment for Servers {
    fn programs(&self) -> Vec<(Program, Role)> {
        self.files.programs()
    }

    /// Attaches to the servers that run; others may come.
    ///
    /// # Errors
    ///
    /// When the one program that is named cannot be attached to.
    fn attach(&mut self, object: &Object) -> Result<()> {
        if let Some(path) = &self.one {
            return self.files.attach(object, path);
        }
        self.refresh(object)?;
        if self.files.is_empty() {
            self.messages.say("no server runs yet: waiting for one");
        }
        Ok(())
    }

    fn refresh(&mut self, object: &Object) -> Result<()> {
        if self.one.is_some() {
            return Ok(());
        }
        let programs = self.programs;
        self.files.attach_to_processes(object, &|pid, name| {
            Ok(programs.contains(&name).then(|| executable(pid)).into_iter().collect())
        });
        Ok(())
    }

    fn unattached(&self) -> u64 {
        self.files.unattached()
    }

    fn take_links(&mut self) -> Links {
        self.files.take_links()
    }
}
