//! Control groups (v2): the directories that `--cgroup` and `--container` mean, and the container
//! that a cgroup belongs to.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc;
use nix::sys::stat::Mode;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, fstatfs};

use crate::error::{Context as _, Error, Result};
use crate::filter::pods;
use crate::output::Column;
use crate::record::Container;
use crate::system::procfs;
use crate::system::sys;

/// A container's id has so many hexadecimal digits, whichever engine made it.
const ID_LEN: usize = 64;
/// Directories below each other that are looked into.
const DEPTH_MAX: usize = 16;
/// The most cgroups that are remembered.
const KNOWN_MAX: usize = 8192;
/// Between two searches for cgroups that are new.
const PAUSE: Duration = Duration::from_millis(100);
/// And at least so many times as long as the last one took.
const REST: u32 = 20;

const NO_CGROUPS: &str = "no cgroup v2 file system is mounted";

/// A cgroup that is wanted. It was opened once, and is the one that was found, whatever has its
/// name later.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) path: PathBuf,
    pub(crate) dir: File,
}

/// The directories that the options mean.
///
/// # Errors
///
/// When one is not there or may be several, or there is no cgroup v2 at all.
pub(crate) fn wanted(paths: &[PathBuf], containers: &[String]) -> Result<Vec<Wanted>> {
    if paths.is_empty() && containers.is_empty() {
        return Ok(Vec::new());
    }
    let Some(root) = mount_point() else {
        return Err(Error::new("looking for cgroups", NO_CGROUPS));
    };
    let mut found = Vec::new();
    for path in paths {
        // As /proc/PID/cgroup has it, or as a path in the file system.
        let inside = root.join(path.strip_prefix("/").unwrap_or(path));
        let dir = [path.clone(), inside].into_iter().find_map(|path| open(path).ok());
        found.push(dir.ok_or_else(|| {
            let cause = format!("there is no such directory in {}", root.display());
            Error::new(format!("looking for the cgroup {}", path.display()), cause)
        })?);
    }
    for id in containers {
        found.extend(of_container(&root, id)?);
    }
    Ok(found)
}

/// The one that all others are below.
///
/// # Errors
///
/// When there is no cgroup v2 at all.
pub(crate) fn root() -> Result<File> {
    let doing = "opening the root of the cgroups";
    let none = || Error::new(doing, NO_CGROUPS);
    open(mount_point().ok_or_else(none)?).map(|root| root.dir).doing(doing)
}

/// Opens a directory, if it is a cgroup's.
fn open(path: PathBuf) -> io::Result<Wanted> {
    let mut options = File::options();
    let dir = options.read(true).custom_flags(libc::O_DIRECTORY).open(&path)?;
    if fstatfs(&dir)?.filesystem_type() != CGROUP2_SUPER_MAGIC {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(Wanted { path, dir })
}

/// A cgroup that is called like a container.
#[derive(Debug)]
struct Claim {
    path: PathBuf,
    id: String,
    owner: u32,
}

/// The cgroups of a container whose id begins like this: those next to the root, the others are
/// below them.
fn of_container(root: &Path, id: &str) -> Result<Vec<Wanted>> {
    let mut claims = Vec::new();
    visit(root, &mut |dir, _| {
        let Some(own) = container_in(dir).filter(|own| own.starts_with(id)) else { return true };
        let path = dir.to_owned();
        let claim = |owner| Claim { path, id: own.into(), owner };
        claims.extend(owner(dir).map(claim));
        false
    });
    let doing = format!("looking for the container {id}");
    let claims = choose(claims, root).map_err(|(cause, hint)| Error::new(&doing, cause).hint(hint));
    let cgroups = claims?.into_iter().filter_map(|claim| open(claim.path).ok()).collect::<Vec<_>>();
    if cgroups.is_empty() {
        return Err(Error::new(doing, "it has just ended"));
    }
    Ok(cgroups)
}

/// Those that are meant: of one container. Root's come first: a user to whom a part of the tree is
/// delegated may call his cgroups whatever he likes.
fn choose(
    mut claims: Vec<Claim>,
    root: &Path,
) -> std::result::Result<Vec<Claim>, (String, String)> {
    if claims.iter().any(|claim| claim.owner == 0) {
        claims.retain(|claim| claim.owner == 0);
    }
    let ids = claims.iter().map(|claim| claim.id.as_str()).collect::<BTreeSet<_>>();
    let owners = claims.iter().map(|claim| claim.owner).collect::<BTreeSet<_>>();
    if ids.is_empty() {
        let hint = "give the container's id, or the beginning of it, not its name";
        return Err((format!("no cgroup in {} has its id", root.display()), hint.into()));
    }
    if ids.len() > 1 {
        let named = ids.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        return Err((
            format!("{} containers have such an id", ids.len()),
            format!("give more of it: there are {named}"),
        ));
    }
    if owners.len() > 1 {
        let paths = claims.iter().take(5).map(|claim| claim.path.display().to_string());
        let paths = paths.collect::<Vec<_>>().join(", ");
        return Err((
            format!("cgroups of {} users have its id", owners.len()),
            format!("choose with --cgroup: there are {paths}"),
        ));
    }
    Ok(claims)
}

/// What is known of cgroups by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    root: Option<Wanted>,
    known: HashMap<u64, Known>,
    /// Until when there is no search.
    rests_until: Option<Instant>,
}

/// A cgroup, as it was when it was looked up.
#[derive(Debug, Default)]
struct Known {
    /// Below the root of all, beginning with `/`; empty if it was gone.
    path: Vec<u8>,
    /// The container that it belongs to, if there is one.
    container: Container,
    /// When what Kubernetes calls that is looked for again, and how often it was.
    again: Option<(Instant, u32)>,
}

/// What Kubernetes calls a container is known soon after it has begun, or never.
const NAME_AGAIN: Duration = Duration::from_millis(500);
const NAME_TRIES: u32 = 20;

impl Known {
    fn of(root: &Path, dir: &Path) -> Self {
        let below = dir.strip_prefix(root).unwrap_or(dir);
        let path = [b"/", below.as_os_str().as_encoded_bytes()].concat();
        let id = container_of(dir).unwrap_or_default().to_string();
        let mut known =
            Self { path, container: Container { id, ..Container::default() }, again: None };
        known.name(dir, 0);
        known
    }

    fn name(&mut self, dir: &Path, tries: u32) {
        let is_done = self.container.id.is_empty() || pods::name(&mut self.container, dir);
        let again = !is_done && tries < NAME_TRIES;
        self.again = again.then(|| (Instant::now() + NAME_AGAIN, tries + 1));
    }
}

impl Cgroups {
    /// Those of this machine.
    pub(crate) fn find() -> Self {
        let root = mount_point().and_then(|path| open(path).ok());
        Self { root, ..Self::default() }
    }

    /// The same where one of these columns tells of containers; else none is known.
    pub(crate) fn of_columns<E>(columns: &[&Column<E>]) -> Self {
        let has_containers = columns.iter().any(|column| column.is_of_container());
        if has_containers { Self::find() } else { Self::default() }
    }

    /// The container; none where the cgroup is none's, or gone before it was looked up.
    pub(crate) fn container(&mut self, cgroup: u64) -> &Container {
        self.of(cgroup).map_or(Container::NONE, |known| &known.container)
    }

    /// Its path, as /proc/PID/cgroup has it; empty where it was gone before it was looked up.
    pub(crate) fn path(&mut self, cgroup: u64) -> &[u8] {
        self.of(cgroup).map_or(b"", |known| &known.path)
    }

    fn of(&mut self, cgroup: u64) -> Option<&Known> {
        match self.known.get_mut(&cgroup) {
            None => self.learn(cgroup),
            Some(Known { again: None, .. }) => {}
            Some(known) => {
                let due = known.again.filter(|(at, _)| *at <= Instant::now());
                if let (Some((_, tries)), Some(root)) = (due, &self.root) {
                    let below = known.path.strip_prefix(b"/").unwrap_or_default();
                    known.name(&root.path.join(OsStr::from_bytes(below)), tries);
                }
            }
        }
        self.known.get(&cgroup)
    }

    /// The kernel tells the path of one cgroup to those with `CAP_DAC_READ_SEARCH`; for others all
    /// of them are searched.
    fn learn(&mut self, cgroup: u64) {
        let Some(root) = &self.root else { return };
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        let path = match sys::open_cgroup(root.dir.as_fd(), cgroup) {
            Ok(dir) => path_of(dir),
            // It is gone, and no other one gets its number.
            Err(Errno::ESTALE) => None,
            Err(_) => return self.search(cgroup),
        };
        let known = path.map(|path| Known::of(&root.path, &path));
        self.known.insert(cgroup, known.unwrap_or_default());
    }

    /// Learns all cgroups there are, among them this one, if it is still there.
    fn search(&mut self, cgroup: u64) {
        let began = Instant::now();
        let rests = self.rests_until.is_some_and(|until| began < until);
        let Some(root) = self.root.as_ref().filter(|_| !rests) else { return };
        self.known.clear();
        let known = &mut self.known;
        known.insert(cgroup, Known::default());
        visit(&root.path, &mut |dir, number| {
            if known.len() < KNOWN_MAX || number == cgroup {
                known.insert(number, Known::of(&root.path, dir));
            }
            true
        });
        self.rests_until = began.elapsed().checked_mul(REST).map(|rest| began + rest.max(PAUSE));
    }
}

/// The path of an open directory; where it is too long for the kernel to tell, of one above.
fn path_of(mut dir: OwnedFd) -> Option<PathBuf> {
    for _ in 0..libc::PATH_MAX {
        match fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())) {
            Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => {}
            path => return path.ok(),
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        dir = openat(&dir, "..", flags, Mode::empty()).ok()?;
    }
    None
}

/// Calls `look` with every cgroup below `dir` and its number, which is that of its directory; goes
/// on below it if `look` says so. What cannot be read is passed over: cgroups come and go.
fn visit(dir: &Path, look: &mut impl FnMut(&Path, u64) -> bool) {
    let mut waiting = vec![(dir.to_owned(), 0)];
    while let Some((dir, depth)) = waiting.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_dir && look(&entry.path(), entry.ino()) && depth < DEPTH_MAX {
                waiting.push((entry.path(), depth + 1));
            }
        }
    }
}

/// The container that a directory or one above it is made for: the innermost that root owns. Else
/// the outermost: those inside may call what is below it as they like.
fn container_of(dir: &Path) -> Option<&str> {
    believed(dir.ancestors().filter_map(|dir| Some((container_in(dir)?, owner(dir)))))
}

/// Of ids from the innermost to the outermost, with the owners of their cgroups.
fn believed<'i>(ids: impl Iterator<Item = (&'i str, Option<u32>)>) -> Option<&'i str> {
    let mut outermost = None;
    for (id, owner) in ids {
        outermost = Some(id);
        if owner == Some(0) {
            break;
        }
    }
    outermost
}

fn owner(dir: &Path) -> Option<u32> {
    fs::symlink_metadata(dir).ok().map(|data| data.uid())
}

/// The id in a directory's own name: `docker-ID.scope`, `crio-ID`, `libpod-ID.scope`, `ID` ...
fn container_in(dir: &Path) -> Option<&str> {
    let name = dir.file_name()?.to_str()?;
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    // The engine's own process, which looks after the container.
    if words.clone().any(|word| word == "conmon") {
        return None;
    }
    words.find(|word| word.len() == ID_LEN && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Where cgroup v2 is mounted: /sys/fs/cgroup, or elsewhere on systems that have both versions.
/// Where they are.
pub(crate) fn mount_point() -> Option<PathBuf> {
    procfs::mount_point(&fs::read("/proc/self/mounts").ok()?, "cgroup2")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn knows_the_names_that_engines_use() {
        for dir in [
            format!("/sys/fs/cgroup/system.slice/docker-{ID}.scope"),
            format!("/sys/fs/cgroup/docker/{ID}"),
            format!("/sys/fs/cgroup/machine.slice/libpod-{ID}.scope/container"),
            format!("/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
            format!("/sys/fs/cgroup/kubepods/besteffort/pod1/crio-{ID}"),
            format!("/sys/fs/cgroup/kubepods.slice/x:cri-containerd:{ID}"),
        ] {
            assert_eq!(container_of(Path::new(&dir)), Some(ID), "{dir}");
        }
        let monitor = format!("/sys/fs/cgroup/machine.slice/libpod-conmon-{ID}.scope");
        for dir in ["/sys/fs/cgroup/user.slice", "/sys/fs/cgroup/docker-0123.scope", "/", &monitor]
        {
            assert_eq!(container_of(Path::new(dir)), None, "{dir}");
        }
    }

    #[test]
    fn believes_root() {
        let ids = |owners: &[u32]| {
            let names = ["inner", "middle", "outer"];
            believed(names.into_iter().zip(owners.iter().copied().map(Some)))
        };
        assert_eq!(ids(&[0, 0, 0]), Some("inner"));
        assert_eq!(ids(&[7, 0, 0]), Some("middle"));
        assert_eq!(ids(&[7, 7, 0]), Some("outer"));
        assert_eq!(ids(&[7, 7, 7]), Some("outer"));
        assert_eq!(ids(&[]), None);
    }

    #[test]
    fn chooses_one_container() {
        let chosen = |claims: &[(&str, u32)]| {
            let claim = |(i, (id, owner)): (usize, &(&str, u32))| Claim {
                path: i.to_string().into(),
                id: (*id).into(),
                owner: *owner,
            };
            let claims = claims.iter().enumerate().map(claim).collect();
            let chosen = choose(claims, Path::new("/sys/fs/cgroup"));
            chosen.map(|claims| claims.into_iter().map(|claim| claim.path).collect::<Vec<_>>())
        };
        let paths = |names: &[&str]| Ok(names.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(chosen(&[("a", 0), ("a", 0)]), paths(&["0", "1"]));
        assert_eq!(chosen(&[("b", 7), ("a", 0), ("a", 7)]), paths(&["1"]));
        assert_eq!(chosen(&[("a", 7), ("a", 7)]), paths(&["0", "1"]));
        for (claims, cause) in [
            (&[("a", 0), ("b", 0)][..], "2 containers have such an id"),
            (&[("a", 7), ("a", 8)], "cgroups of 2 users have its id"),
            (&[], "no cgroup in /sys/fs/cgroup has its id"),
        ] {
            assert_eq!(chosen(claims).unwrap_err().0, cause);
        }
    }
}
