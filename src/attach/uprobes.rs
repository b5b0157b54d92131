//! Functions of programs and libraries, attached to once a file, whatever its names are. Files and
//! processes come and go, and may be hostile: each file is opened once, and what is attached is put
//! into the very file that was read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use libbpf_rs::Object;

use crate::attach::elf::{self, Search};
use crate::attach::links::Links;
use crate::attach::mappings::Mappings;
use crate::attach::plan::Role;
use crate::attach::points::{Point, UserFunctions};
use crate::bpf::programs::Program;
use crate::error::{Error, Result};
use crate::escape;
use crate::output::messages::Messages;
use crate::system::foreign::{ForeignFile, Identity, identity_at};
use crate::system::kernel;
use crate::system::processes;
use crate::system::procfs;
use crate::system::sys;

/// The files of a process, by its number and the name of its executable.
type FilesOf<'f> = &'f dyn Fn(u32, &str) -> io::Result<Vec<PathBuf>>;

/// A program, and the function or the USDT probe that it is attached to.
#[derive(Debug)]
pub(crate) struct Uprobe {
    /// The program.
    pub(crate) program: Program,
    /// What it is for.
    pub(crate) role: Role,
    /// Where the kernel has uprobe.multi: the program for several functions, so that a file needs one
    /// link for them, and the number that tells it which one it is.
    pub(crate) shared: Option<(Program, u64)>,
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

impl Uprobe {
    /// The program that this kernel lets be used.
    fn program(&self) -> Program {
        let shared = self.shared.filter(|_| kernel::has_uprobe_multi());
        shared.map_or(self.program, |(program, _)| program)
    }
}

/// Probes that go together. A file need not have them all.
pub(crate) type ProbeSet = &'static [Uprobe];

/// The files, each with its probes.
#[derive(Debug)]
pub(crate) struct Files {
    messages: Messages,
    /// The first one of which a file has something, and that works, is used.
    sets: &'static [ProbeSet],
    /// How the library's name begins in which the functions may be, if there is one.
    library: Option<&'static str>,
    /// Files that were looked at.
    seen: HashMap<Identity, Seen>,
    /// Files that could not be looked at, or attached to.
    failed: HashMap<Identity, Failed>,
    /// So many more of them that nobody uses any more.
    missed: u64,
    /// Why; each reason is said once.
    causes: HashSet<String>,
    /// Processes that were looked at, by number.
    processes: HashMap<u32, Process>,
    /// Where the next look at processes begins.
    next: u32,
    /// Libraries that processes may map at any time, and what tells of it, if anything does.
    libraries: &'static [&'static str],
    mappings: Option<Mappings>,
}

/// What was done with a file.
#[derive(Debug, Default)]
struct Seen {
    /// The probes; none in one that has not the functions.
    links: Links,
    /// What has the functions and an entry of its own: the library, or the file as it was before it
    /// got another name or other rights.
    holder: Option<Identity>,
    /// Device and number of the file that the probes are in. They hold it, so that no other file
    /// can get them.
    place: (u64, u64),
    /// It is traced whether a process uses it or not.
    stays: bool,
    /// When no process used it any more, at the latest.
    unused_since: Option<Instant>,
}

/// What could not be done with a file.
#[derive(Debug)]
struct Failed {
    /// When it is tried again, and how long that is after the last time.
    next: Instant,
    wait: Duration,
    stays: bool,
}

/// A process: its executable, and the files that it uses.
#[derive(Debug)]
struct Process {
    exe: Identity,
    files: Vec<Identity>,
    /// When to look at it again: if a file failed, if it may have mapped others, and, where nothing tells
    /// of that, after the first look.
    again: Option<Instant>,
}

/// Why nothing was attached.
enum Failure {
    /// There is nothing to attach to.
    Absent(Error),
    /// It may work later.
    Failed(Error),
}

/// What a program is attached to in a file at once.
#[derive(Debug)]
struct Group {
    program: Program,
    when: When,
    names: Vec<&'static str>,
    offsets: Vec<u64>,
    /// Which of the functions it is, where the program is for several.
    cookies: Vec<u64>,
}

impl Group {
    fn of(set: ProbeSet, offsets: &[Option<u64>], is_shared: bool) -> Vec<Self> {
        let mut groups = Vec::<Self>::new();
        for (probe, offset) in set.iter().zip(offsets) {
            let Some(offset) = *offset else { continue };
            let shared = probe.shared.filter(|_| is_shared);
            let program = shared.map_or(probe.program, |(program, _)| program);
            let has_it = |group: &&mut Self| shared.is_some() && group.program == program;
            let group = match groups.iter_mut().find(has_it) {
                Some(group) => group,
                None => {
                    let (names, offsets, cookies) = Default::default();
                    groups.push(Self { program, when: probe.when, names, offsets, cookies });
                    let last = groups.len() - 1;
                    &mut groups[last]
                }
            };
            group.names.push(probe.name);
            group.offsets.push(offset);
            group.cookies.extend(shared.map(|(_, cookie)| cookie));
        }
        groups
    }
}

/// Probes keep a file, and the file system that it is on, though nobody else may use it any more.
/// After this time they are taken away: containers may start again before.
const UNUSED: Duration = Duration::from_secs(30);

/// The time between two tries, at the least and at the most.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long processes that are new are looked at in one go. Events wait meanwhile, and a process
/// may have files that take long to read.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The same for those that run when tracing begins: nothing waits yet.
const AT_FIRST: Duration = Duration::from_secs(10);

/// As many different reasons are said.
const CAUSES_MAX: usize = 8;

impl Files {
    pub(crate) fn new(
        messages: &Messages,
        sets: &'static [ProbeSet],
        library: Option<&'static str>,
    ) -> Self {
        sys::open_more_files();
        Self {
            messages: messages.clone(),
            sets,
            library,
            seen: HashMap::new(),
            failed: HashMap::new(),
            missed: 0,
            causes: HashSet::new(),
            processes: HashMap::new(),
            next: 0,
            libraries: &[],
            mappings: None,
        }
    }

    /// From now on, has processes looked at again that map one of these libraries.
    pub(crate) fn watch(&mut self, libraries: &'static [&'static str]) {
        self.libraries = libraries;
        match Mappings::start() {
            Ok(mappings) => {
                self.mappings = Some(mappings);
                self.messages.hook_in_use("perf events of mappings");
            }
            Err(error) => self.note(&format!(
                "hook refused: {}; libraries that a process maps more than two seconds after its start are \
                 not seen",
                error.line()
            )),
        }
    }

    /// The probes of all files: they are detached at once.
    pub(crate) fn take_links(&mut self) -> Links {
        let mut all = Links::default();
        for seen in self.seen.values_mut() {
            all.add(seen.links.take());
        }
        all
    }

    /// The programs of all probes, and what they are for.
    pub(crate) fn programs(&self) -> Vec<(Program, Role)> {
        let probes = self.sets.iter().flat_map(|set| set.iter());
        probes.map(|probe| (probe.program(), probe.role)).collect()
    }

    /// Says something to those who asked with `-v`.
    pub(crate) fn note(&self, text: &str) {
        self.messages.note(text);
    }

    /// Is anything attached?
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.values().all(|seen| seen.links.is_empty())
    }

    /// How many files could not be attached to, though they may have the functions.
    pub(crate) fn unattached(&self) -> u64 {
        self.failed.len() as u64 + self.missed
    }

    /// Where the functions are, those of all sets in their order.
    fn find(&self, file: &ForeignFile) -> Result<Search> {
        let probes = self.sets.iter().flat_map(|set| set.iter());
        let names = probes.map(|probe| probe.name).collect::<Vec<_>>();
        elf::find(file, &names, self.library)
    }

    /// Can something of a file be attached to?
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        match self.find(&elf::open(path)?)? {
            Search::Found(..) => Ok(()),
            Search::Absent(error) => Err(error),
        }
    }

    /// Attaches to what a file has, or the library that it is linked to, in the first set that
    /// works, for as long as this lives; a file that was looked at before is left alone.
    pub(crate) fn attach(&mut self, object: &Object, path: &Path) -> Result<()> {
        let Ok(identity) = identity_at(path) else { return Ok(()) };
        let done = self.attach_in_time(object, path, identity);
        let holder = self.seen.get(&identity).and_then(|seen| seen.holder);
        for identity in [Some(identity), holder].into_iter().flatten() {
            if let Some(seen) = self.seen.get_mut(&identity) {
                seen.stays = true;
            }
        }
        if let Some(failed) = self.failed.get_mut(&identity) {
            failed.stays = true;
        }
        match done {
            Err(Failure::Absent(error) | Failure::Failed(error)) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Looks at a file, unless that was done, or failed just before: until when it is left alone
    /// then.
    fn attach_in_time(
        &mut self,
        object: &Object,
        path: &Path,
        identity: Identity,
    ) -> std::result::Result<Option<Instant>, Failure> {
        let now = Instant::now();
        let failed = self.failed.get(&identity);
        if let Some(failed) = failed.filter(|failed| now < failed.next) {
            return Ok(Some(failed.next));
        }
        if self.seen.contains_key(&identity) {
            return Ok(None);
        }
        match self.attach_once(object, path) {
            Ok(()) => {
                self.failed.remove(&identity);
                Ok(None)
            }
            Err(Failure::Absent(error)) => {
                self.failed.remove(&identity);
                self.seen.insert(identity, Seen::default());
                Err(Failure::Absent(error))
            }
            // A process that ended meanwhile says nothing of its file.
            Err(Failure::Failed(_)) if identity_at(path).is_err() => Ok(None),
            Err(Failure::Failed(error)) => {
                self.fail(identity, &error);
                Err(Failure::Failed(error))
            }
        }
    }

    /// Notes that a file is to be tried again, and says why, once.
    fn fail(&mut self, identity: Identity, error: &Error) {
        let wait = self.failed.get(&identity).map_or(WAITS.0, |failed| failed.wait * 2);
        let wait = wait.min(WAITS.1);
        let stays = self.failed.get(&identity).is_some_and(|failed| failed.stays);
        let failed = Failed { next: Instant::now() + wait, wait, stays };
        self.failed.insert(identity, failed);
        let is_new = self.causes.len() < CAUSES_MAX && self.causes.insert(error.cause().into());
        if is_new || self.messages.are_verbose() {
            let text = format!("cannot attach: {}; it will be tried again", error.line());
            self.messages.say(escape::text(text.as_bytes()));
        }
    }

    fn attach_once(&mut self, object: &Object, path: &Path) -> std::result::Result<(), Failure> {
        let file = elf::open(path).map_err(Failure::Failed)?;
        if !sys::has_files_left(file.as_fd()) {
            let error = Error::new(format!("reading {file}"), "too many open files");
            return Err(Failure::Failed(error));
        }
        let identity = file.identity();
        if self.seen.contains_key(&identity) {
            return Ok(());
        }
        let (library, offsets) = match self.find(&file).map_err(Failure::Failed)? {
            Search::Found(library, offsets) => (library, offsets),
            Search::Absent(error) => return Err(Failure::Absent(error)),
        };
        let target = library.as_ref().unwrap_or(&file);
        let holder = match self.holder_of(target) {
            Some(holder) => holder,
            None => {
                let links = self.attach_sets(object, target, &offsets).map_err(Failure::Failed)?;
                let seen = self.seen.entry(target.identity()).or_default();
                (seen.links, seen.place) = (links, target.place());
                target.identity()
            }
        };
        if holder != identity {
            self.note(&format!("{file} has its probes already"));
            self.seen.entry(identity).or_default().holder = Some(holder);
        }
        Ok(())
    }

    /// The entry of a file that has probes already.
    fn holder_of(&self, file: &ForeignFile) -> Option<Identity> {
        let mut held = self.seen.iter().filter(|(_, seen)| !seen.links.is_empty());
        let same = |identity: &Identity, seen: &Seen| {
            *identity == file.identity() || seen.place == file.place()
        };
        held.find(|(identity, seen)| same(identity, seen)).map(|(identity, _)| *identity)
    }

    /// Attaches in the first set of which the file has something, and that works.
    fn attach_sets(
        &self,
        object: &Object,
        file: &ForeignFile,
        mut offsets: &[Option<u64>],
    ) -> Result<Links> {
        let mut failure = None;
        for set in self.sets {
            let (own, rest) = offsets.split_at(set.len());
            offsets = rest;
            let mut found = set.iter().zip(own).filter(|(_, offset)| offset.is_some());
            if found.all(|(probe, _)| probe.role == Role::Details) {
                continue;
            }
            match self.attach_set(object, set, file, own) {
                Ok(links) => return Ok(links),
                Err(error) => {
                    self.note(&format!("hook refused: {}", error.line()));
                    failure = failure.or(Some(error));
                }
            }
        }
        Err(failure.unwrap_or_else(|| Error::new("attaching", "there is nothing")))
    }

    fn attach_set(
        &self,
        object: &Object,
        set: ProbeSet,
        file: &ForeignFile,
        offsets: &[Option<u64>],
    ) -> Result<Links> {
        let mut links = Links::default();
        for group in Group::of(set, offsets, kernel::has_uprobe_multi()) {
            let Group { program, when, names, offsets, cookies } = group;
            let (offsets, cookies, pids) = (&offsets[..], &cookies[..], &[][..]);
            let functions = UserFunctions { file, offsets, cookies, pids };
            let at = match (when, names[0].split_once(':')) {
                (When::Usdt, Some((provider, name))) => Point::Usdt { file, provider, name },
                (When::Return, _) => Point::Uretprobes(functions),
                _ => Point::Uprobes(functions),
            };
            links.join(at.attach(object, program, &AtomicUsize::default())?);
            self.note(&format!("hook in use: {at} ({})", names.join(", ")));
        }
        for names in missing_details(set, offsets) {
            self.note(&format!("{file} has no {names}: what that tells of events is not known"));
        }
        Ok(links)
    }

    /// Attaches to the files of running processes that `files_of` finds: by number, and the name of
    /// the executable. Processes that were looked at before are left alone, and files that no
    /// process uses any more are let go.
    pub(crate) fn attach_to_processes(&mut self, object: &Object, files_of: FilesOf<'_>) {
        let mut pids = processes::all().collect::<Vec<_>>();
        // This process is always there: nothing can be read at the moment.
        if pids.is_empty() {
            return;
        }
        pids.sort_unstable();
        // Where the time was not enough for all, the others come first.
        let first = pids.partition_point(|pid| *pid < self.next) % pids.len();
        pids.rotate_left(first);
        self.next = 0;
        let is_first = self.processes.is_empty();
        let deadline = Instant::now() + if is_first { AT_FIRST } else { AT_ONCE };
        let libraries = self.libraries;
        let news = self.mappings.as_mut().map(|all| all.news(|name| has_name_of(libraries, name)));
        let mut known = std::mem::take(&mut self.processes);
        let mut alive = HashMap::new();
        for pid in pids {
            // Another executable: the process has become another program.
            let Ok(exe) = identity_at(&executable(pid)) else { continue };
            let now = Instant::now();
            let mut process = known.remove(&pid).filter(|known| known.exe == exe);
            if let (Some(process), Some(news)) = (&mut process, &news) {
                process.again = if news.may_be_of(pid) { Some(now) } else { process.again };
            }
            let is_due = |process: &Process| process.again.is_some_and(|again| again <= now);
            if process.as_ref().is_none_or(is_due) {
                if now < deadline {
                    let mut looked_at = self.look_at(object, pid, exe, files_of);
                    if process.is_none() && news.is_none() {
                        // It may have begun just now, and map its libraries next.
                        looked_at.again.get_or_insert(now + WAITS.0);
                    }
                    process = Some(looked_at);
                } else if self.next == 0 {
                    self.next = pid;
                }
            }
            alive.extend(process.map(|process| (pid, process)));
        }
        self.processes = alive;
        self.let_go();
    }

    fn look_at(
        &mut self,
        object: &Object,
        pid: u32,
        exe: Identity,
        files_of: FilesOf<'_>,
    ) -> Process {
        let mut process = Process { exe, files: Vec::new(), again: None };
        let target = fs::read_link(executable(pid)).unwrap_or_default();
        let target = target.to_string_lossy();
        let name = target.trim_end_matches(" (deleted)").rsplit('/').next();
        let paths = files_of(pid, name.unwrap_or_default()).unwrap_or_else(|error| {
            if identity_at(&executable(pid)).is_ok() {
                // Not its executable's: others may run that too.
                let maps = (u64::from(pid), u64::MAX, exe.2, exe.3);
                process.files.push(maps);
                self.fail(maps, &Error::new(format!("reading the maps of process {pid}"), error));
                process.again = self.failed.get(&maps).map(|failed| failed.next);
            }
            Vec::new()
        });
        for path in paths {
            let Ok(identity) = identity_at(&path) else { continue };
            process.files.push(identity);
            match self.attach_in_time(object, &path, identity) {
                Ok(next) => process.again = process.again.max(next),
                Err(Failure::Absent(error)) => {
                    self.note(&format!("process {pid}: {}", error.line()));
                }
                Err(Failure::Failed(_)) => {
                    process.again = self.failed.get(&identity).map(|failed| failed.next);
                }
            }
        }
        process
    }

    /// Takes the probes out of files that no process has used for a while.
    fn let_go(&mut self) {
        let of_processes = self.processes.values().flat_map(|process| &process.files);
        let mut used = of_processes.copied().collect::<HashSet<_>>();
        let holder = |file: &Identity| self.seen.get(file).and_then(|seen| seen.holder);
        let holders = used.iter().filter_map(holder).collect::<Vec<_>>();
        used.extend(holders);
        let failed = self.failed.len();
        self.failed.retain(|identity, failed| failed.stays || used.contains(identity));
        self.missed += (failed - self.failed.len()) as u64;
        let mut gone = Links::default();
        let now = Instant::now();
        self.seen.retain(|identity, seen| {
            if seen.stays || used.contains(identity) {
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

/// The functions of programs for details that have none of theirs in a file.
fn missing_details(set: ProbeSet, offsets: &[Option<u64>]) -> Vec<String> {
    let mut places = BTreeMap::<&str, (Vec<&str>, bool)>::new();
    for (probe, offset) in set.iter().zip(offsets).filter(|(probe, _)| probe.role == Role::Details)
    {
        let (names, is_there) = places.entry(probe.program.name()).or_default();
        names.push(probe.name);
        *is_there |= offset.is_some();
    }
    let missing = places.into_values().filter(|(_, is_there)| !is_there);
    missing.map(|(names, _)| names.join(", ")).collect()
}

/// What opens a process's executable itself, wherever it is.
pub(crate) fn executable(pid: u32) -> PathBuf {
    format!("/proc/{pid}/exe").into()
}

/// As many C libraries, or whatever is looked for, a process can have: each may be a file that takes
/// long to read.
const LIBRARIES_MAX: usize = 16;

/// What opens all files that a process has mapped whose name begins like one of these libraries', wherever
/// they are: others may have such a name too, and hide none.
///
/// # Errors
///
/// When its mappings cannot be read, or are too many.
pub(crate) fn mapped_libraries(pid: u32, libraries: &[&str]) -> io::Result<Vec<PathBuf>> {
    let maps = BufReader::new(File::open(format!("/proc/{pid}/maps"))?);
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    procfs::mappings(maps, |mapping| {
        // File systems with subvolumes use a number twice.
        let file = || (mapping.file.0.to_vec(), mapping.file.1.to_vec(), mapping.path.to_vec());
        if has_name_of(libraries, mapping.name())
            && seen.len() <= LIBRARIES_MAX
            && seen.insert(file())
        {
            found.push(format!("/proc/{pid}/map_files/{}", mapping.addresses).into());
        }
    })?;
    if found.len() > LIBRARIES_MAX {
        return Err(io::Error::other("it has more libraries of that name than are looked at"));
    }
    Ok(found)
}

fn has_name_of(libraries: &[&str], name: &[u8]) -> bool {
    libraries.iter().any(|library| name.starts_with(library.as_bytes()))
}
