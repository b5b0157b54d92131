//! Names of the functions that addresses are in, of the kernel and of processes. They are looked up
//! while the process still runs. Processes may be hostile: what is read of them has limits, in
//! memory and in time.

mod begins;
mod budget;
mod bytes;
mod debug_files;
mod elf;
mod files;
mod kernel;
mod maps;
mod names;
mod perf_map;
mod programs;
mod table;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use budget::Budget;
pub(crate) use kernel::Kernel;
pub(crate) use names::Function;
use names::Names;
use programs::{Found, Programs};

/// The most addresses that are remembered; then they are looked up again.
const ADDRESSES_MAX: usize = 1 << 19;
/// What has no name may have one meanwhile.
const UNNAMED_AGE: Duration = Duration::from_secs(1);

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
    kernel: Kernel,
    programs: Programs,
    budget: Budget,
    names: Names,
    addresses: HashMap<(Space, u64), u32>,
    /// Those of them that have no name yet, and when they were last forgotten.
    unnamed: (Instant, Vec<(Space, u64)>),
}

impl Symbols {
    /// What is beyond the limits.
    pub(crate) const OTHER: u32 = 0;
    /// Of a sample without a stack.
    pub(crate) const NO_STACK: u32 = 1;
    /// An address of memory that is not run.
    pub(crate) const NO_CODE: u32 = 2;
    /// An address of a process of which nothing is known any more.
    pub(crate) const UNKNOWN: u32 = 3;
    /// In the place of the callers that a stack has lost.
    pub(crate) const BROKEN: u32 = 4;
    /// Their names.
    const FIRST: [&'static str; 5] =
        ["[other]", "[no stack]", "[no code]", "[unknown]", "[broken stack]"];

    pub(crate) fn new() -> Self {
        Self {
            kernel: Kernel::read(),
            programs: Programs::new(),
            budget: Budget::new(),
            names: Names::new(&Self::FIRST),
            addresses: HashMap::new(),
            unnamed: (Instant::now(), Vec::new()),
        }
    }

    pub(crate) fn function(&self, number: u32) -> &Function {
        self.names.function(number)
    }

    /// The numbers of the functions that addresses are in.
    pub(crate) fn numbers(&mut self, space: Space, addresses: &[u64]) -> Vec<u32> {
        if self.addresses.len() + addresses.len() > ADDRESSES_MAX {
            self.addresses.clear();
            self.unnamed.1.clear();
        }
        if self.unnamed.0.elapsed() > UNNAMED_AGE {
            for address in self.unnamed.1.drain(..) {
                self.addresses.remove(&address);
            }
            self.unnamed.0 = Instant::now();
        }
        addresses.iter().map(|&address| self.number(space, address)).collect()
    }

    fn number(&mut self, space: Space, address: u64) -> u32 {
        if let Some(number) = self.addresses.get(&(space, address)) {
            return *number;
        }
        let (number, is_final) = match self.look_up(space, address) {
            Found::Function(function) => (self.names.number_of(function), true),
            Found::Nameless(function) => (self.names.number_of(function), false),
            Found::NoCode => (Self::NO_CODE, false),
            Found::NoCodeYet => return Self::NO_CODE,
            Found::Unknown => (Self::UNKNOWN, false),
        };
        self.addresses.insert((space, address), number);
        if !is_final {
            self.unnamed.1.push((space, address));
        }
        number
    }

    fn look_up(&mut self, space: Space, address: u64) -> Found {
        match space {
            Space::Kernel => {
                let mut found = self.kernel.function_at(address);
                if found.is_none() && self.kernel.refresh() {
                    found = self.kernel.function_at(address);
                }
                found.map_or(Found::Nameless(Kernel::without_name()), Found::Function)
            }
            Space::User(0, _) => Found::Unknown,
            Space::User(pid, _) => {
                let look = || self.programs.look_up(space, pid, address);
                self.budget.spend(look).unwrap_or(Found::Unknown)
            }
        }
    }

    /// Nobody needs the numbers any more that it has given: where there are many, they go.
    pub(crate) fn forget(&mut self) {
        if self.names.is_half_full() {
            self.names = Names::new(&Self::FIRST);
            self.addresses.clear();
            self.unnamed.1.clear();
        }
    }
}

/// Reads bytes as each kind of what a stranger may put before this part: an ELF file, a process's
/// mappings, its map of names. For the fuzzer: what is found is dropped.
pub fn read_any(bytes: &[u8], address: u64) {
    if let Some(elf) = elf::Elf::read(bytes.to_vec()) {
        let at = elf.address_at(address);
        let _ = (elf.name_of(address), elf.begin_of(address), at.and_then(|at| elf.name_of(at)));
    }
    let mut maps = maps::Maps::default();
    if maps.read(bytes).is_ok() {
        let _ = maps.at(address).map(|(_, mapping)| maps.name(mapping).len());
    }
    let _ = perf_map::PerfMap::parse(bytes.to_vec()).name_of(address);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_its_own_functions() {
        let mut symbols = Symbols::new();
        let here = names_its_own_functions as fn() as usize as u64;
        let on_stack = &raw const here as usize as u64;
        let space = Space::User(std::process::id(), 0);
        let numbers = symbols.numbers(space, &[here, on_stack, 0]);
        assert_eq!(numbers[1..], [Symbols::NO_CODE; 2]);
        let Function { name, module, is_kernel } = symbols.function(numbers[0]);
        let name = String::from_utf8_lossy(name);
        assert!(name.ends_with("::names_its_own_functions"), "{name}");
        assert!(module.starts_with(b"/") && !is_kernel);
        let gone = symbols.numbers(Space::User(u32::MAX, 0), &[here]);
        assert_eq!(gone, [Symbols::UNKNOWN]);
    }
}
