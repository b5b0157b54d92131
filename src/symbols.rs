//! Names of the functions that addresses are in, of the kernel and of processes. They are looked up
//! while the process still runs.

use std::collections::HashMap;
use std::fs;

use blazesym::symbolize::source::{Kernel, Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use blazesym::{MaybeDefault, Pid};

use crate::procfs;

/// The most functions that are told apart; beyond them there is `[other]`.
const FUNCTIONS_MAX: usize = 1 << 20;
/// The most addresses that are remembered; then they are looked up again.
const ADDRESSES_MAX: usize = 1 << 20;

/// A function.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Function {
    /// Without a symbol, the name of its file in brackets; without that, `[unknown]`.
    pub(crate) name: String,
    /// The file that it is in, or `[kernel]`; empty where that is not known.
    pub(crate) module: String,
    pub(crate) is_kernel: bool,
}

/// The names that were looked up, by number.
#[derive(Debug)]
pub(crate) struct Symbols {
    symbolizer: Symbolizer,
    functions: Vec<Function>,
    numbers: HashMap<Function, u32>,
    /// Of processes by their number; of the kernel by 0.
    addresses: HashMap<(u32, u64), u32>,
}

impl Symbols {
    pub(crate) fn new() -> Self {
        let symbolizer = Symbolizer::new();
        // Reading the kernel's symbols takes a while: not when the first sample waits.
        let _ = symbolizer.symbolize_single(&kernel(), Input::AbsAddr(u64::MAX));
        let other = Function { name: "[other]".into(), module: String::new(), is_kernel: false };
        Self {
            symbolizer,
            functions: vec![other.clone()],
            numbers: HashMap::from([(other, 0)]),
            addresses: HashMap::new(),
        }
    }

    pub(crate) fn function(&self, number: u32) -> &Function {
        self.functions.get(number as usize).unwrap_or(&self.functions[0])
    }

    /// The number of the function that an address is in; `pid` is 0 for the kernel.
    pub(crate) fn number(&mut self, pid: u32, address: u64) -> u32 {
        if let Some(number) = self.addresses.get(&(pid, address)) {
            return *number;
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.clear();
        }
        let function = self.look_up(pid, address);
        let number = self.number_of(function);
        self.addresses.insert((pid, address), number);
        number
    }

    fn number_of(&mut self, function: Function) -> u32 {
        if let Some(number) = self.numbers.get(&function) {
            return *number;
        }
        if self.functions.len() >= FUNCTIONS_MAX {
            return 0;
        }
        let number = u32::try_from(self.functions.len()).unwrap_or(0);
        self.functions.push(function.clone());
        self.numbers.insert(function, number);
        number
    }

    fn look_up(&self, pid: u32, address: u64) -> Function {
        let is_kernel = pid == 0;
        let source = if is_kernel { kernel() } else { process(pid) };
        let found = self.symbolizer.symbolize_single(&source, Input::AbsAddr(address));
        if let Ok(Symbolized::Sym(symbol)) = found {
            let module = symbol.module.as_deref().map(|module| module.to_string_lossy().into());
            let of_kernel = || if is_kernel { "[kernel]".into() } else { String::new() };
            let module = module.unwrap_or_else(of_kernel);
            return Function { name: symbol.name.into(), module, is_kernel };
        }
        let module = if is_kernel { "[kernel]".into() } else { mapping(pid, address) };
        let name = match module.rsplit('/').next() {
            Some("") | None => "[unknown]".into(),
            Some(file) => format!("[{}]", file.trim_matches(['[', ']'])),
        };
        Function { name, module, is_kernel }
    }
}

fn kernel() -> Source<'static> {
    // /proc/kallsyms says it all; a vmlinux with debugging information would take seconds to read.
    Source::Kernel(Kernel { vmlinux: MaybeDefault::None, ..Kernel::default() })
}

fn process(pid: u32) -> Source<'static> {
    let mut process = Process::new(Pid::from(pid));
    process.perf_map = has_perf_map(pid);
    Source::Process(process)
}

/// Has the process told the names of what it compiled? Only a regular file: reading what a hostile
/// process put there instead could take forever.
fn has_perf_map(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let own = own.and_then(|line| line.split_whitespace().next_back()).unwrap_or_default();
    let path = format!("/proc/{pid}/root/tmp/perf-{own}.map");
    fs::symlink_metadata(path).is_ok_and(|data| data.is_file())
}

/// The file that is mapped there.
fn mapping(pid: u32, address: u64) -> String {
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let name = procfs::mapping_of(&maps, address).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
