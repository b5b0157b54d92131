//! Control groups (v2): the directories that `--cgroup` and `--container` mean, and the container
//! that a cgroup belongs to.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::procfs;

/// A container's id has so many hexadecimal digits, whichever engine made it.
const ID_LEN: usize = 64;
/// Directories below each other that are looked into.
const DEPTH_MAX: usize = 16;
/// Between two searches for cgroups that are new.
const PAUSE: Duration = Duration::from_millis(100);

/// The directories that the options mean.
///
/// # Errors
///
/// When one is not there, or there is no cgroup v2 at all.
pub(crate) fn wanted(paths: &[PathBuf], containers: &[String]) -> Result<Vec<PathBuf>> {
    if paths.is_empty() && containers.is_empty() {
        return Ok(Vec::new());
    }
    let Some(root) = mount_point() else {
        return Err(Error::new("looking for cgroups", "no cgroup v2 file system is mounted"));
    };
    let mut found = Vec::new();
    for path in paths {
        // As /proc/PID/cgroup has it, or as a path in the file system.
        let inside = root.join(path.strip_prefix("/").unwrap_or(path));
        let real = [path.clone(), inside].into_iter().flat_map(fs::canonicalize);
        let dir = real.into_iter().find(|dir| dir.starts_with(&root) && dir.is_dir());
        found.push(dir.ok_or_else(|| {
            let cause = format!("there is no such directory in {}", root.display());
            Error::new(format!("looking for the cgroup {}", path.display()), cause)
        })?);
    }
    for id in containers {
        let before = found.len();
        visit(&root, &mut |dir, _| {
            let is_it = container_in(dir).is_some_and(|found| found.starts_with(id.as_str()));
            if is_it {
                found.push(dir.to_owned());
            }
            !is_it
        });
        if found.len() == before || id.is_empty() {
            let doing = format!("looking for the container {id}");
            return Err(Error::new(doing, format!("no cgroup in {} has its id", root.display()))
                .hint("give the container's id, or the beginning of it, not its name"));
        }
    }
    Ok(found)
}

/// Which container a cgroup belongs to, remembered.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    root: Option<PathBuf>,
    known: HashMap<u64, String>,
    searched: Option<Instant>,
}

impl Containers {
    /// Those of this machine.
    pub(crate) fn find() -> Self {
        Self { root: mount_point(), ..Self::default() }
    }

    /// The container's id; empty where the cgroup is none's.
    pub(crate) fn of(&mut self, cgroup: u64) -> &str {
        let rested = self.searched.is_none_or(|last| last.elapsed() >= PAUSE);
        if rested && !self.known.contains_key(&cgroup) {
            self.search();
        }
        self.known.get(&cgroup).map_or("", String::as_str)
    }

    fn search(&mut self) {
        let Some(root) = &self.root else { return };
        self.known.clear();
        let known = &mut self.known;
        known.extend(fs::metadata(root).map(|data| (data.ino(), String::new())));
        visit(root, &mut |dir, number| {
            known.insert(number, container_of(dir).unwrap_or_default().to_string());
            true
        });
        self.searched = Some(Instant::now());
    }
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

/// The container that a directory or one above it is made for; the innermost.
fn container_of(dir: &Path) -> Option<&str> {
    dir.ancestors().find_map(container_in)
}

/// The id in a directory's own name: `docker-ID.scope`, `crio-ID`, `libpod-ID.scope`, `ID` ...
fn container_in(dir: &Path) -> Option<&str> {
    let name = dir.file_name()?.to_str()?;
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.find(|word| word.len() == ID_LEN && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Where cgroup v2 is mounted: /sys/fs/cgroup, or elsewhere on systems that have both versions.
fn mount_point() -> Option<PathBuf> {
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
        for dir in ["/sys/fs/cgroup/user.slice", "/sys/fs/cgroup/docker-0123.scope", "/"] {
            assert_eq!(container_of(Path::new(dir)), None, "{dir}");
        }
    }
}
