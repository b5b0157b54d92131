//! Programs that read lines with readline: found among the running ones, in whatever mount
//! namespace they are, and looked for again while they come and go.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use libbpf_rs::{Link, Object};

use crate::elf;
use crate::error::{Error, Result};
use crate::hooks::{At, Attached, Probe};
use crate::processes;
use crate::procfs;
use crate::render::escape;

const FUNCTION: &str = "readline";
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

/// One file, whatever its names are.
type Inode = (u64, u64);

/// The probes: one for each file.
#[derive(Debug)]
pub(crate) struct Shells {
    which: Which,
    program: &'static str,
    verbose: bool,
    /// Files that were looked at; no probe in those that have not the function.
    seen: HashMap<Inode, Option<Link>>,
    /// Processes that were looked at, by number and executable.
    processes: HashMap<u32, Inode>,
}

impl Shells {
    /// # Errors
    ///
    /// When one file is named, and it is none that can be traced.
    pub(crate) fn new(which: Which, program: &'static str, verbose: bool) -> Result<Self> {
        if let Which::One(path) = &which {
            elf::find_function(path, FUNCTION, LIBRARY)?;
        }
        Ok(Self { which, program, verbose, seen: HashMap::new(), processes: HashMap::new() })
    }

    /// Attaches to what there is: the files that new shells will run, and those that run.
    ///
    /// # Errors
    ///
    /// When there is nothing at all.
    pub(crate) fn attach_first(&mut self, object: &Object) -> Result<()> {
        if let Which::One(path) = &self.which {
            let path = path.clone();
            return self.attach(object, &path);
        }
        let mut failure = None;
        for path in self.installed() {
            failure = self.attach(object, &path).err().or(failure);
        }
        self.refresh(object)?;
        match failure {
            Some(error) if self.links() == 0 => Err(error),
            _ if self.links() > 0 => Ok(()),
            _ => Err(Error::new(
                FUNCTION,
                "there is no bash in /bin, /usr/bin, /usr/local/bin or $PATH",
            )
            .hint("name a program that uses libreadline: -s PATH")),
        }
    }

    fn links(&self) -> usize {
        self.seen.values().flatten().count()
    }

    fn note(&self, text: &str) {
        if self.verbose {
            eprintln!("{FUNCTION}: {}", escape::text(text.as_bytes()));
        }
    }

    /// What a shell that starts later would run here.
    fn installed(&self) -> Vec<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let usual = ["/bin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
        let dirs = usual.into_iter().chain(std::env::split_paths(&path));
        let mut files = dirs.map(|dir| dir.join("bash")).collect::<Vec<_>>();
        if matches!(self.which, Which::AllPrograms) {
            files.extend(elf::libraries(LIBRARY));
        }
        files.retain(|file| file.is_file());
        files
    }

    /// Attaches to the function in a file, or in the library that it is linked to; a file that was
    /// looked at before is left alone.
    fn attach(&mut self, object: &Object, path: &Path) -> Result<()> {
        let Some(inode) = inode(path) else { return Ok(()) };
        if self.seen.contains_key(&inode) {
            return Ok(());
        }
        self.seen.insert(inode, None);
        let (file, offset) = elf::find_function(path, FUNCTION, LIBRARY)?;
        // The library, if it is that.
        let Some(inode) = self::inode(&file) else { return Ok(()) };
        if self.seen.get(&inode).is_some_and(Option::is_some) {
            return Ok(());
        }
        let at = At::Uretprobe { file: &file, offset };
        let link = Probe::new(self.program, at).attach(object)?;
        self.note(&format!("hook in use: {at}"));
        self.seen.insert(inode, Some(link));
        Ok(())
    }

    /// Files of a running process in which the function may be, by names that lead there from here.
    fn files_of(&self, pid: u32) -> Vec<PathBuf> {
        let exe = PathBuf::from(format!("/proc/{pid}/exe"));
        let Ok(target) = fs::read_link(&exe) else { return Vec::new() };
        let target = target.to_string_lossy();
        let name = target.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or_default();
        let is_shell = name == "bash" || name == "rbash";
        let mut files = Vec::new();
        if is_shell || matches!(self.which, Which::AllPrograms) {
            files.push(exe);
            let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
            let library =
                procfs::mapped(&maps, LIBRARY).map(|path| format!("/proc/{pid}/root{path}"));
            files.extend(library.map(PathBuf::from));
        }
        files
    }
}

impl Attached for Shells {
    fn refresh(&mut self, object: &Object) -> Result<()> {
        if matches!(self.which, Which::One(_)) {
            return Ok(());
        }
        let mut alive = HashMap::new();
        for pid in processes::all() {
            // Another executable: the process has become another program.
            let Some(exe) = inode(Path::new(&format!("/proc/{pid}/exe"))) else { continue };
            alive.insert(pid, exe);
            if self.processes.get(&pid) == Some(&exe) {
                continue;
            }
            for file in self.files_of(pid) {
                if let Err(error) = self.attach(object, &file) {
                    self.note(&format!("process {pid}: {error}"));
                }
            }
        }
        self.processes = alive;
        // New installations, and upgrades that no process runs yet.
        for file in self.installed() {
            if let Err(error) = self.attach(object, &file) {
                self.note(&error.to_string());
            }
        }
        Ok(())
    }
}

fn inode(path: &Path) -> Option<Inode> {
    fs::metadata(path).ok().map(|data| (data.dev(), data.ino()))
}
