//! The processes of `-p`: when they have ended, the run has.

use libbpf_rs::{MapCore as _, Object};
use nix::errno::Errno;

use crate::bpf::object;
use crate::error::Result;
use crate::filter::tasks::TaskFilter;
use crate::run::loss;
use crate::system::processes::{self, Process};

/// What `-p` asks for.
#[derive(Debug)]
pub(crate) struct Traced<'a> {
    processes: &'a [Process],
    /// With `--follow`: whose maps know those that descend from them.
    followed: Option<&'a Object>,
    /// Are numbers here those of the host?
    is_on_host: bool,
    /// One of these that lived when they were last looked for.
    alive: Option<Process>,
}

impl<'a> Traced<'a> {
    pub(crate) fn new(filter: &'a TaskFilter<'_>, object: &'a Object) -> Self {
        let followed = filter.follows_processes().then_some(object);
        let is_on_host = processes::own_pid_namespace().is_none();
        Self { processes: filter.processes(), followed, is_on_host, alive: None }
    }

    /// Have all ended, and with `--follow` all that descend from them? Where this cannot be told, no.
    pub(crate) fn have_ended(&mut self) -> bool {
        let mut known = self.processes.iter().chain(&self.alive);
        if self.processes.is_empty() || known.any(|process| !process.has_ended()) {
            return false;
        }
        self.followed.is_none_or(|object| self.is_nobody_left(object).unwrap_or(false))
    }

    /// Whoever comes while they are looked for may be missed, but is counted before the one that started
    /// it ends.
    fn is_nobody_left(&mut self, object: &Object) -> Result<bool> {
        if self.finds_somebody(object)? {
            return Ok(false);
        }
        let before = loss::followed(object)?;
        Ok(!self.finds_somebody(object)? && loss::followed(object)? == before)
    }

    /// Does one that is followed live? The end of some was before it could be seen: they are in the maps
    /// still. Those that came later are there by their numbers on the host.
    fn finds_somebody(&mut self, object: &Object) -> Result<bool> {
        for (map, has_own_numbers) in [("wanted_pids", true), ("followed", self.is_on_host)] {
            for key in object::map(object, map)?.keys() {
                if !has_own_numbers || self.is_alive(&key) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn is_alive(&mut self, key: &[u8]) -> bool {
        let number = key.try_into().map_or(0, u32::from_ne_bytes);
        match Process::open(number) {
            Ok(process) if process.has_ended() => false,
            Ok(process) => {
                self.alive = Some(process);
                true
            }
            // Nobody's number, or a thread's by now.
            Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT) => false,
            Err(_) => true,
        }
    }
}
