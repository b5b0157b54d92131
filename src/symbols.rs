//! Names of the functions that addresses are in, of the kernel and of processes. They are looked up
//! while the process still runs. Processes may be hostile.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use blazesym::symbolize::source::{Kernel, Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use blazesym::{MaybeDefault, Pid};

use crate::demangle::{NAME_MAX, demangle};
use crate::perf_map::PerfMap;
use crate::procfs;

/// The most functions that are told apart; beyond them there is `[other]`.
const FUNCTIONS_MAX: usize = 1 << 20;
/// The most addresses that are remembered; then they are looked up again.
const ADDRESSES_MAX: usize = 1 << 20;
/// The memory that processes' own maps of functions may take before they are forgotten.
const PERF_MAPS_BYTES_MAX: usize = 128 << 20;
/// A process may have told of more functions meanwhile.
const PERF_MAP_AGE: Duration = Duration::from_secs(1);

/// Where the functions are that a process told of itself.
const JIT: &[u8] = b"[jit]";

/// A function.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Function {
    /// Without a symbol, the name of its file in brackets; without that, `[unknown]`.
    pub(crate) name: Vec<u8>,
    /// The file that it is in, or `[kernel]`; empty where that is not known.
    pub(crate) module: Vec<u8>,
    pub(crate) is_kernel: bool,
}

/// Whose an address is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Space {
    Kernel,
    /// A process's: its number here, 0 where it has none, and what tells the programs apart that it
    /// has been.
    User(u32, u32),
}

/// The names that were looked up, by number.
#[derive(Debug)]
pub(crate) struct Symbols {
    symbolizer: Symbolizer,
    functions: Vec<Function>,
    numbers: HashMap<Function, u32>,
    addresses: HashMap<(Space, u64), u32>,
    /// Those of them that have no name yet, and when they were last forgotten.
    unnamed: (Instant, Vec<(Space, u64)>),
    perf_maps: HashMap<Space, (Instant, PerfMap)>,
}

impl Symbols {
    /// What is beyond the limits.
    pub(crate) const OTHER: u32 = 0;
    /// Of a sample without a stack.
    pub(crate) const NO_STACK: u32 = 1;

    pub(crate) fn new() -> Self {
        // Demangled here, with a limit.
        let symbolizer = Symbolizer::builder().enable_demangling(false).build();
        // Reading the kernel's symbols takes a while: not when the first sample waits.
        let _ = symbolizer.symbolize_single(&kernel(), Input::AbsAddr(u64::MAX));
        let mut symbols = Self {
            symbolizer,
            functions: Vec::new(),
            numbers: HashMap::new(),
            addresses: HashMap::new(),
            unnamed: (Instant::now(), Vec::new()),
            perf_maps: HashMap::new(),
        };
        for name in ["[other]", "[no stack]"] {
            let (name, module) = (name.into(), Vec::new());
            symbols.number_of(Function { name, module, is_kernel: false });
        }
        symbols
    }

    pub(crate) fn function(&self, number: u32) -> &Function {
        self.functions.get(number as usize).unwrap_or(&self.functions[0])
    }

    /// The numbers of the functions that addresses are in.
    pub(crate) fn numbers(&mut self, space: Space, addresses: &[u64]) -> Vec<u32> {
        if self.addresses.len() + addresses.len() > ADDRESSES_MAX {
            self.addresses.clear();
        }
        if self.unnamed.0.elapsed() > PERF_MAP_AGE {
            for address in self.unnamed.1.drain(..) {
                self.addresses.remove(&address);
            }
            self.unnamed.0 = Instant::now();
        }
        let known = |address: &&u64| !self.addresses.contains_key(&(space, **address));
        let mut new = addresses.iter().filter(known).copied().collect::<Vec<_>>();
        new.sort_unstable();
        new.dedup();
        if !new.is_empty() {
            for (address, function) in new.iter().zip(self.look_up(space, &new)) {
                if is_unnamed(&function) {
                    self.unnamed.1.push((space, *address));
                }
                let number = self.number_of(function);
                self.addresses.insert((space, *address), number);
            }
        }
        let number = |address: &u64| self.addresses.get(&(space, *address)).copied();
        addresses.iter().map(|address| number(address).unwrap_or(Self::OTHER)).collect()
    }

    fn number_of(&mut self, function: Function) -> u32 {
        if let Some(number) = self.numbers.get(&function) {
            return *number;
        }
        if self.functions.len() >= FUNCTIONS_MAX {
            return Self::OTHER;
        }
        let number = u32::try_from(self.functions.len()).unwrap_or(Self::OTHER);
        self.functions.push(function.clone());
        self.numbers.insert(function, number);
        number
    }

    fn look_up(&mut self, space: Space, addresses: &[u64]) -> Vec<Function> {
        let (source, pid) = match space {
            Space::Kernel => (kernel(), 0),
            Space::User(pid, _) => (process(pid), pid),
        };
        let is_kernel = space == Space::Kernel;
        let is_reachable = is_kernel || pid != 0;
        let found =
            is_reachable.then(|| self.symbolizer.symbolize(&source, Input::AbsAddr(addresses)));
        let mut found = found.and_then(Result::ok).unwrap_or_default().into_iter();
        // Read when something has no symbol.
        let mut maps = None;
        let mut function = |address: u64| {
            if let Some(Symbolized::Sym(symbol)) = found.next() {
                let module = symbol.module.as_deref();
                let module = module.map(|module| procfs::without_escapes(module.as_bytes()));
                let of_kernel = || if is_kernel { b"[kernel]".to_vec() } else { Vec::new() };
                let module = module.unwrap_or_else(of_kernel);
                return Function { name: demangle(&symbol.name).into(), module, is_kernel };
            }
            if is_kernel {
                return without_symbol(b"[kernel]", true);
            }
            let maps = maps
                .get_or_insert_with(|| fs::read(format!("/proc/{pid}/maps")).unwrap_or_default());
            let module = procfs::mapping_of(maps, address).unwrap_or_default();
            without_symbol(&procfs::without_escapes(module), false)
        };
        let mut functions = addresses.iter().map(|&address| function(address)).collect::<Vec<_>>();
        if !is_kernel && is_reachable {
            for (function, address) in functions.iter_mut().zip(addresses) {
                if is_unnamed(function) {
                    self.name_by_perf_map(function, space, pid, *address);
                }
            }
        }
        functions
    }

    /// Has the process told the name of what it compiled?
    fn name_by_perf_map(&mut self, function: &mut Function, space: Space, pid: u32, address: u64) {
        if !self.perf_maps.contains_key(&space) {
            let bytes = |(_, map): &(Instant, PerfMap)| map.bytes() + size_of::<PerfMap>();
            if self.perf_maps.values().map(bytes).sum::<usize>() > PERF_MAPS_BYTES_MAX {
                self.perf_maps.clear();
            }
        }
        let now = Instant::now();
        let (read_at, map) =
            self.perf_maps.entry(space).or_insert_with(|| (now, PerfMap::read(pid)));
        if now.duration_since(*read_at) > PERF_MAP_AGE && map.name_of(address).is_none() {
            (*read_at, *map) = (now, PerfMap::read(pid));
        }
        if let Some(name) = map.name_of(address) {
            function.name = name[..name.len().min(NAME_MAX)].to_vec();
            function.module = JIT.to_vec();
        }
    }
}

/// What a process compiled is in memory that is no file.
fn is_unnamed(function: &Function) -> bool {
    !function.is_kernel
        && function.name.starts_with(b"[")
        && !function.module.starts_with(b"/")
        && function.module != JIT
}

fn without_symbol(module: &[u8], is_kernel: bool) -> Function {
    let file = module.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let file = file.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(file);
    let name = match file {
        b"" => b"[unknown]".to_vec(),
        file => [b"[", file, b"]"].concat(),
    };
    Function { name, module: module.to_vec(), is_kernel }
}

fn kernel() -> Source<'static> {
    // /proc/kallsyms says it all; a vmlinux with debugging information would take seconds to read.
    Source::Kernel(Kernel { vmlinux: MaybeDefault::None, ..Kernel::default() })
}

fn process(pid: u32) -> Source<'static> {
    let mut process = Process::new(Pid::from(pid));
    // Read here, with limits: perf_map.rs.
    process.perf_map = false;
    Source::Process(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_file_where_there_is_no_symbol() {
        assert_eq!(without_symbol(b"/lib/libc.so.6", false).name, b"[libc.so.6]");
        assert_eq!(without_symbol(b"[vdso]", false).name, b"[vdso]");
        assert_eq!(without_symbol(b"", false).name, b"[unknown]");
    }
}
