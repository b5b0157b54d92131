//! Functions of programs and libraries, attached to once a file, whatever its names are. Files and
//! processes come and go.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libbpf_rs::Object;

use crate::elf;
use crate::error::Result;
use crate::hooks::{At, Links, Probe};
use crate::messages::say;
use crate::processes;
use crate::procfs;
use crate::render::escape;

/// A program, and the function or the USDT probe that it is attached to.
#[derive(Debug)]
pub(crate) struct Uprobe {
    /// The program's name in the `.bpf.c`.
    pub(crate) program: &'static str,
    /// The function's name in the file; of a USDT probe, provider and name: `mysql:query__start`.
    pub(crate) name: &'static str,
    /// What of it.
    pub(crate) when: When,
}

/// When a program runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// The function is entered.
    Entry,
    /// The function returns.
    Return,
    /// The USDT probe is passed.
    Usdt,
}

/// Probes that go together. A file need not have them all.
pub(crate) type Way = &'static [Uprobe];

/// A way, the file that it is for, and where the way's names are in it.
type Found = (Way, PathBuf, Vec<Option<u64>>);

/// One file, whatever its names are, and however it is mounted: two overlays show the same file of
/// their lower layer with two devices, but the kernel puts probes into that file. So it is known by
/// its number, size and times.
type Inode = (u64, u64, (i64, i64), (i64, i64));

/// The files, each with its probes.
#[derive(Debug)]
pub(crate) struct Files {
    tool: &'static str,
    /// The first one of which a file has something, and that works, is used.
    ways: &'static [Way],
    /// How the library's name begins in which the functions may be, if there is one.
    library: Option<&'static str>,
    verbose: bool,
    /// Files that were looked at.
    seen: HashMap<Inode, Seen>,
    /// Processes that were looked at, by number: their executable, and the files that they use.
    processes: HashMap<u32, (Inode, Vec<Inode>)>,
}

/// What was done with a file.
#[derive(Debug, Default)]
struct Seen {
    /// The probes; none in one that has not the functions.
    links: Links,
    /// The library that has the functions, with its own entry.
    library: Option<Inode>,
    /// It is traced whether a process uses it or not.
    stays: bool,
    /// When no process used it any more, at the latest.
    unused_since: Option<Instant>,
}

/// Probes keep a file, and the file system that it is on, though nobody else may use it any more.
/// After this time they are taken away: containers may start again before.
const UNUSED: Duration = Duration::from_secs(30);

impl Files {
    pub(crate) fn new(
        tool: &'static str,
        ways: &'static [Way],
        library: Option<&'static str>,
        verbose: bool,
    ) -> Self {
        Self { tool, ways, library, verbose, seen: HashMap::new(), processes: HashMap::new() }
    }

    /// Says something to those who asked with `-v`.
    pub(crate) fn note(&self, text: &str) {
        if self.verbose {
            say(format_args!("{}: {}", self.tool, escape::text(text.as_bytes())));
        }
    }

    /// Is anything attached?
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.values().all(|seen| seen.links.is_empty())
    }

    /// The ways to see a file's events: the file itself or its library, and where the way's names
    /// are in it.
    fn ways(&self, path: &Path) -> Result<Vec<Found>> {
        let find = |way: &Way| {
            let names = way.iter().map(|probe| probe.name).collect::<Vec<_>>();
            elf::find(path, &names, self.library).map(|(file, offsets)| (*way, file, offsets))
        };
        let (found, failures): (Vec<_>, Vec<_>) =
            self.ways.iter().map(find).partition(Result::is_ok);
        match failures.into_iter().find_map(Result::err) {
            Some(failure) if found.is_empty() => Err(failure),
            _ => Ok(found.into_iter().flatten().collect()),
        }
    }

    /// Can something of a file be attached to?
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        self.ways(path).map(drop)
    }

    /// Attaches to what a file has, or the library that it is linked to, in the first way that
    /// works, for as long as this lives; a file that was looked at before is left alone.
    pub(crate) fn attach(&mut self, object: &Object, path: &Path) -> Result<()> {
        let Some(inode) = inode(path) else { return Ok(()) };
        let done = self.attach_once(object, path, inode);
        let library = self.seen.get(&inode).and_then(|seen| seen.library);
        for inode in [Some(inode), library].into_iter().flatten() {
            if let Some(seen) = self.seen.get_mut(&inode) {
                seen.stays = true;
            }
        }
        done
    }

    fn attach_once(&mut self, object: &Object, path: &Path, inode: Inode) -> Result<()> {
        if self.seen.contains_key(&inode) {
            return Ok(());
        }
        self.seen.insert(inode, Seen::default());
        let ways = match self.ways(path) {
            Ok(ways) => ways,
            Err(error) => {
                // A process that ended meanwhile says nothing of its file.
                if self::inode(path) != Some(inode) {
                    self.seen.remove(&inode);
                }
                return Err(error);
            }
        };
        let mut failure = None;
        for (way, file, offsets) in ways {
            // The library, if it is that.
            let Some(holder) = self::inode(&file) else { return Ok(()) };
            if holder != inode {
                self.seen.entry(inode).or_default().library = Some(holder);
            }
            if self.seen.get(&holder).is_some_and(|seen| !seen.links.is_empty()) {
                return Ok(());
            }
            match self.attach_way(object, way, &file, &offsets) {
                Ok(links) => {
                    self.seen.entry(holder).or_default().links = links;
                    return Ok(());
                }
                Err(error) if self::inode(path).is_none() => {
                    self.seen.remove(&inode);
                    return Err(error);
                }
                Err(error) => {
                    self.note(&format!("hook refused: {}", error.line()));
                    failure = failure.or(Some(error));
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn attach_way(
        &self,
        object: &Object,
        way: Way,
        file: &Path,
        offsets: &[Option<u64>],
    ) -> Result<Links> {
        let mut links = Links::default();
        for (probe, offset) in way.iter().zip(offsets) {
            let Some(offset) = *offset else { continue };
            let at = match (probe.when, probe.name.split_once(':')) {
                (When::Usdt, Some((provider, name))) => At::Usdt { file, provider, name },
                (When::Return, _) => At::Uretprobes { file, offsets: &[offset], pids: &[] },
                _ => At::Uprobes { file, offsets: &[offset], pids: &[] },
            };
            links.add(Probe::new(probe.program, at).attach(object)?);
            self.note(&format!("hook in use: {at} ({})", probe.name));
        }
        Ok(links)
    }

    /// Attaches to the files of running processes that `files_of` finds: by number, and the name of
    /// the executable. Processes that were looked at before are left alone, and files that no
    /// process uses any more are let go.
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
            if let Some(known) = self.processes.remove(&pid).filter(|(exe, _)| *exe == inode) {
                alive.insert(pid, known);
                continue;
            }
            let target = fs::read_link(&exe).unwrap_or_default();
            let target = target.to_string_lossy();
            let name = target.trim_end_matches(" (deleted)").rsplit('/').next();
            let mut files = Vec::new();
            for file in files_of(pid, name.unwrap_or_default()) {
                let Some(inode) = self::inode(&file) else { continue };
                files.push(inode);
                if let Err(error) = self.attach_once(object, &file, inode) {
                    self.note(&format!("process {pid}: {}", error.line()));
                }
            }
            alive.insert(pid, (inode, files));
        }
        self.processes = alive;
        self.let_go();
    }

    /// Takes the probes out of files that no process has used for a while.
    fn let_go(&mut self) {
        let of_processes = self.processes.values().flat_map(|(_, files)| files);
        let mut used = of_processes.copied().collect::<HashSet<_>>();
        let library = |file: &Inode| self.seen.get(file).and_then(|seen| seen.library);
        let libraries = used.iter().filter_map(library).collect::<Vec<_>>();
        used.extend(libraries);
        let mut gone = Links::default();
        let now = Instant::now();
        self.seen.retain(|inode, seen| {
            if seen.stays || used.contains(inode) {
                seen.unused_since = None;
                return true;
            }
            let stays = now.duration_since(*seen.unused_since.get_or_insert(now)) < UNUSED;
            if !stays {
                gone.add(seen.links.take());
            }
            stays
        });
        if !gone.is_empty() {
            self.note("hook let go: no process uses its file any more");
        }
    }
}

impl Drop for Files {
    /// All files at once: see [`Links`].
    fn drop(&mut self) {
        let mut all = Links::default();
        for seen in self.seen.values_mut() {
            all.add(seen.links.take());
        }
    }
}

/// Those of these libraries that a process has mapped, by names that lead there from here.
pub(crate) fn mapped_libraries(pid: u32, libraries: &[&str]) -> Vec<PathBuf> {
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mapped = libraries.iter().filter_map(|library| procfs::mapped(&maps, library));
    let named = mapped.map(|(addresses, path)| match std::str::from_utf8(path) {
        Ok(path) if !path.ends_with(" (deleted)") && !path.contains('\\') => {
            format!("/proc/{pid}/root{path}").into()
        }
        // Deleted by an upgrade, or with an unusual name.
        _ => format!("/proc/{pid}/map_files/{addresses}").into(),
    });
    named.collect()
}

fn inode(path: &Path) -> Option<Inode> {
    let data = fs::metadata(path).ok()?;
    let (modified, changed) =
        ((data.mtime(), data.mtime_nsec()), (data.ctime(), data.ctime_nsec()));
    Some((data.ino(), data.size(), modified, changed))
}
