//! Functions of processes: by what they have mapped, the files that this is of, and what they say of
//! the code that they compile.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Space;
use super::elf::Elf;
use super::files::Files;
use super::maps::{Mapping, Maps};
use super::names::Function;
use super::perf_map::PerfMap;
use crate::system::demangle::{NAME_MAX, demangle};
use crate::system::foreign::Identity;

/// Where the functions are that a process told of itself.
const JIT: &[u8] = b"[jit]";
const VDSO: &[u8] = b"[vdso]";
/// The most of it that is read; it has two pages.
const VDSO_MAX: u64 = 1 << 16;
/// The most processes that are known at a time.
const PROCESSES_MAX: usize = 512;
/// The memory that they may take.
const BYTES_MAX: usize = 128 << 20;
/// A process may have told of more functions meanwhile.
const PERF_MAP_AGE: Duration = Duration::from_secs(1);
/// A process may have mapped more meanwhile, at first above all; but when that takes long to read,
/// it is not read so often.
const MAPS_AGE: Duration = Duration::from_millis(10);
const MAPS_AGE_OF_COST: u32 = 20;
const YOUNG: Duration = Duration::from_secs(1);
/// So many addresses without a function in one file are told apart.
const NAMELESS_MAX: u32 = 1 << 12;

/// What is at an address.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// Code.
    Function(Function),
    /// Code whose name may be known later.
    Nameless(Function),
    /// Memory that is not run, or none.
    NoCode,
    /// The same, as it was a moment ago.
    NoCodeYet,
    /// The process is gone, or closed to us.
    Unknown,
}

/// The processes that were looked at. Those that were not used for the longest time go first.
#[derive(Debug)]
pub(super) struct Programs {
    processes: HashMap<Space, Process>,
    files: Files,
    vdso: Option<Elf<Vec<u8>>>,
    /// Addresses without a function, by file.
    nameless: HashMap<Identity, u32>,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Process {
    pid: u32,
    maps: Maps,
    /// When the maps were read, and how long that took.
    read: (Instant, Duration),
    known_since: Instant,
    /// The files of the mappings that were needed, by the mapping's number.
    files: HashMap<usize, Identity>,
    perf_map: Option<(Instant, PerfMap)>,
    used: u64,
}

impl Programs {
    pub(super) fn new() -> Self {
        let (processes, nameless) = (HashMap::new(), HashMap::new());
        Self { processes, files: Files::default(), vdso: read_vdso(), nameless, clock: 0 }
    }

    /// What is at an address of a process.
    pub(super) fn look_up(&mut self, space: Space, pid: u32, address: u64) -> Found {
        self.clock += 1;
        if !self.processes.contains_key(&space) {
            let Some(process) = Process::read(pid) else { return Found::Unknown };
            self.make_room();
            self.processes.insert(space, process);
        }
        let Some(process) = self.processes.get_mut(&space) else { return Found::Unknown };
        process.used = self.clock;
        let mut is_now = false;
        if process.maps.at(address).is_none() && process.is_old() {
            let Some(()) = process.refresh() else { return Found::Unknown };
            is_now = true;
        }
        let Some((index, mapping)) = process.maps.at(address) else {
            return match (process.maps.is_whole(), is_now) {
                (false, _) => Found::Unknown,
                (true, true) => Found::NoCode,
                (true, false) => Found::NoCodeYet,
            };
        };
        let (mapping, name) = (mapping.clone(), process.maps.name(mapping).to_vec());
        if name.starts_with(b"/") {
            if let Some(found) = self.in_file(space, index, &mapping, &name, address) {
                return found;
            }
        } else if name == VDSO {
            return self.in_vdso(&mapping, address);
        }
        let told = self.processes.get_mut(&space).and_then(|process| process.told(address));
        told.map_or(Found::Nameless(without_name(&name, None)), Found::Function)
    }

    /// `None` in what is no ELF file: memory that a process compiles into may be a file too.
    fn in_file(
        &mut self,
        space: Space,
        index: usize,
        mapping: &Mapping,
        path: &[u8],
        address: u64,
    ) -> Option<Found> {
        let process = self.processes.get_mut(&space)?;
        let known = process.files.get(&index).copied();
        let identity = match known.filter(|identity| self.files.get(*identity).is_some()) {
            Some(identity) => identity,
            None => {
                let Some(identity) = self.files.open(&process.link(mapping), path) else {
                    return Some(Found::Nameless(without_name(path, None)));
                };
                process.files.insert(index, identity);
                identity
            }
        };
        let elf = self.files.get(identity)??;
        let offset = (address - mapping.addresses.start).checked_add(mapping.offset)?;
        let Some(address) = elf.address_at(offset) else {
            return Some(Found::Function(without_name(path, None)));
        };
        if let Some(name) = elf.name_of(address) {
            return Some(Found::Function(Function::named(&readable(&name), path)));
        }
        let begin = elf.begin_of(address);
        if self.nameless.len() > PROCESSES_MAX {
            self.nameless.clear();
        }
        let count = self.nameless.entry(identity).or_default();
        *count += u32::from(begin.is_none());
        let shown = (*count < NAMELESS_MAX).then_some(begin.unwrap_or(address));
        Some(Found::Function(without_name(path, shown)))
    }

    fn in_vdso(&self, mapping: &Mapping, address: u64) -> Found {
        // That of 32-bit programs is another one.
        let is_ours = mapping.addresses.start > u32::MAX.into();
        let vdso = self.vdso.as_ref().filter(|_| is_ours);
        let name = vdso.and_then(|vdso| {
            let address = vdso.address_at(address - mapping.addresses.start + mapping.offset)?;
            vdso.name_of(address)
        });
        Found::Function(match name {
            Some(name) => Function::of_program(&readable(&name), VDSO),
            None => without_name(VDSO, None),
        })
    }

    fn make_room(&mut self) {
        let mut bytes = self.processes.values().map(Process::memory).sum::<usize>();
        while self.processes.len() >= PROCESSES_MAX || bytes > BYTES_MAX {
            let oldest = self.processes.iter().min_by_key(|(_, process)| process.used);
            let Some(space) = oldest.map(|(space, _)| *space) else { break };
            bytes -= self.processes.remove(&space).as_ref().map_or(0, Process::memory);
        }
    }
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let began = Instant::now();
        let maps = Maps::of(pid)?;
        let read = (Instant::now(), began.elapsed());
        let (files, known_since) = (HashMap::new(), began);
        Some(Self { pid, maps, read, known_since, files, perf_map: None, used: 0 })
    }

    /// May it have mapped more since its mappings were read?
    fn is_old(&self) -> bool {
        let (at, cost) = self.read;
        let is_young = self.known_since.elapsed() < YOUNG;
        at.elapsed() >= if is_young { cost } else { MAPS_AGE.max(cost * MAPS_AGE_OF_COST) }
    }

    /// Reads its mappings once more; `None`, when it is gone.
    fn refresh(&mut self) -> Option<()> {
        let Self { maps, read, .. } = Self::read(self.pid)?;
        (self.maps, self.read, self.files) = (maps, read, HashMap::new());
        Some(())
    }

    /// What opens a mapping's file itself, whatever its name leads to.
    fn link(&self, mapping: &Mapping) -> PathBuf {
        let (start, end) = (mapping.addresses.start, mapping.addresses.end);
        format!("/proc/{}/map_files/{start:x}-{end:x}", self.pid).into()
    }

    /// Has the process told the name of what it compiled?
    fn told(&mut self, address: u64) -> Option<Function> {
        let now = Instant::now();
        let (read_at, map) = self.perf_map.get_or_insert_with(|| (now, PerfMap::read(self.pid)));
        if now.duration_since(*read_at) > PERF_MAP_AGE && map.name_of(address).is_none() {
            (*read_at, *map) = (now, PerfMap::read(self.pid));
        }
        let name = map.name_of(address)?;
        Some(Function::named(&name[..name.len().min(NAME_MAX)], JIT))
    }

    fn memory(&self) -> usize {
        let perf_map = self.perf_map.as_ref().map_or(0, |(_, map)| map.bytes());
        let files = self.files.capacity() * size_of::<(usize, Identity)>();
        self.maps.memory() + perf_map + files + size_of::<Self>()
    }
}

/// Demangled, where it is text.
fn readable(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(name) => demangle(name).into_bytes(),
        Err(_) => name[..name.len().min(NAME_MAX)].to_vec(),
    }
}

/// The file, or what else the memory is, and the address in it that `addr2line` takes.
fn without_name(path: &[u8], address: Option<u64>) -> Function {
    let file = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let file = file.strip_suffix(b" (deleted)").unwrap_or(file);
    let file = file.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(file);
    let name = match (file, address) {
        (b"", _) => b"[unknown]".to_vec(),
        (file, None) => [b"[", file, b"]"].concat(),
        (file, Some(address)) => [b"[", file, format!("+{address:#x}]").as_bytes()].concat(),
    };
    Function::of_program(&name, path)
}

/// What the kernel maps into every process, read from our own memory.
fn read_vdso() -> Option<Elf<Vec<u8>>> {
    let maps = Maps::of(std::process::id())?;
    let addresses = maps.named(VDSO)?;
    let mut memory = File::open("/proc/self/mem").ok()?;
    memory.seek(SeekFrom::Start(addresses.start)).ok()?;
    let mut bytes = Vec::new();
    let len = (addresses.end - addresses.start).min(VDSO_MAX);
    memory.take(len).read_to_end(&mut bytes).ok()?;
    Elf::read(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_file_where_there_is_no_symbol() {
        let name = |path: &[u8], address| without_name(path, address).name.to_vec();
        assert_eq!(name(b"/lib/libc.so.6", None), b"[libc.so.6]");
        assert_eq!(name(b"/lib/libc.so.6", Some(0x1269)), b"[libc.so.6+0x1269]");
        assert_eq!(name(b"/lib/a (deleted)", Some(1)), b"[a+0x1]");
        assert_eq!(name(b"[vdso]", None), b"[vdso]");
        assert_eq!(name(b"", None), b"[unknown]");
    }

    #[test]
    fn knows_the_vdso() {
        let vdso = read_vdso().unwrap();
        let named = (0..0x2000).filter_map(|offset| vdso.name_of(vdso.address_at(offset)?));
        let all = named.map(|name| String::from_utf8_lossy(&name).into_owned());
        let all = all.collect::<Vec<_>>();
        assert!(all.iter().any(|name| name.contains("clock_gettime")), "{all:?}");
    }
}
