//! Functions of programs and libraries, attached to once a file, whatever its names are. Files and
//! processes come and go.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use libbpf_rs::{Link, Object};

use crate::elf;
use crate::error::Result;
use crate::hooks::{At, Probe};
use crate::processes;
use crate::procfs;
use crate::render::escape;

/// A program and the function that it is attached to.
#[derive(Debug)]
pub(crate) struct Uprobe {
    /// The program's name in the `.bpf.c`.
    pub(crate) program: &'static str,
    /// The function's name in the file.
    pub(crate) function: &'static str,
    /// When it returns, not when it is entered.
    pub(crate) at_return: bool,
}

/// One file, whatever its names are.
type Inode = (u64, u64);

/// The files, each with its probes.
#[derive(Debug)]
pub(crate) struct Files {
    tool: &'static str,
    probes: &'static [Uprobe],
    /// How the library's name begins in which the functions may be.
    library: &'static str,
    verbose: bool,
    /// Files that were looked at; no probes in those that have not the functions.
    seen: HashMap<Inode, Vec<Link>>,
    /// Processes that were looked at, by number and executable.
    processes: HashMap<u32, Inode>,
}

impl Files {
    pub(crate) fn new(
        tool: &'static str,
        probes: &'static [Uprobe],
        library: &'static str,
        verbose: bool,
    ) -> Self {
        Self { tool, probes, library, verbose, seen: HashMap::new(), processes: HashMap::new() }
    }

    /// Says something to those who asked with `-v`.
    pub(crate) fn note(&self, text: &str) {
        if self.verbose {
            eprintln!("{}: {}", self.tool, escape::text(text.as_bytes()));
        }
    }

    /// Is anything attached?
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.values().all(Vec::is_empty)
    }

    /// Each once, whatever is attached to it.
    fn functions(&self) -> Vec<&'static str> {
        let mut functions = self.probes.iter().map(|probe| probe.function).collect::<Vec<_>>();
        functions.sort_unstable();
        functions.dedup();
        functions
    }

    /// Can the functions of a file be attached to?
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        elf::find_functions(path, &self.functions(), self.library).map(drop)
    }

    /// Attaches to those of the functions that a file has, or the library that it is linked to; a
    /// file that was looked at before is left alone.
    pub(crate) fn attach(&mut self, object: &Object, path: &Path) -> Result<()> {
        let Some(inode) = inode(path) else { return Ok(()) };
        if self.seen.contains_key(&inode) {
            return Ok(());
        }
        self.seen.insert(inode, Vec::new());
        let functions = self.functions();
        let (file, offsets) = elf::find_functions(path, &functions, self.library)?;
        // The library, if it is that.
        let Some(inode) = self::inode(&file) else { return Ok(()) };
        if self.seen.get(&inode).is_some_and(|links| !links.is_empty()) {
            return Ok(());
        }
        let mut links = Vec::new();
        for probe in self.probes {
            let index = functions.iter().position(|function| *function == probe.function);
            let offset = index.and_then(|index| *offsets.get(index)?);
            let (file, Some(offset)) = (&file, offset) else { continue };
            let at = match probe.at_return {
                true => At::Uretprobe { file, offset },
                false => At::Uprobe { file, offset },
            };
            links.extend(Probe::new(probe.program, at).attach(object)?);
            self.note(&format!("hook in use: {at} ({})", probe.function));
        }
        self.seen.insert(inode, links);
        Ok(())
    }

    /// Attaches to the files of running processes that `files_of` finds: by number, and the name of
    /// the executable. Processes that were looked at before are left alone.
    pub(crate) fn attach_to_processes(
        &mut self,
        object: &Object,
        files_of: impl Fn(u32, &str) -> Vec<PathBuf>,
    ) {
        let mut alive = HashMap::new();
        for pid in processes::all() {
            let exe = PathBuf::from(format!("/proc/{pid}/exe"));
            // Another executable: the process has become another program.
            let Some(inode) = inode(&exe) else { continue };
            alive.insert(pid, inode);
            if self.processes.get(&pid) == Some(&inode) {
                continue;
            }
            let target = fs::read_link(&exe).unwrap_or_default();
            let target = target.to_string_lossy();
            let name = target.trim_end_matches(" (deleted)").rsplit('/').next();
            for file in files_of(pid, name.unwrap_or_default()) {
                if let Err(error) = self.attach(object, &file) {
                    self.note(&format!("process {pid}: {}", error.line()));
                }
            }
        }
        self.processes = alive;
    }
}

/// The library that a process has mapped, by a name that leads there from here.
pub(crate) fn mapped_library(pid: u32, library: &str) -> Option<PathBuf> {
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    procfs::mapped(&maps, library).map(|path| format!("/proc/{pid}/root{path}").into())
}

fn inode(path: &Path) -> Option<Inode> {
    fs::metadata(path).ok().map(|data| (data.dev(), data.ino()))
}
