//! Functions by number, each once.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The most functions that are told apart; beyond them there is `[other]`.
const FUNCTIONS_MAX: usize = 1 << 19;
/// The memory that they may take.
const BYTES_MAX: usize = 32 << 20;

/// A function.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Function {
    /// Without a symbol, its file and its address there, `[file+0x1269]`; without that, `[unknown]`.
    pub(crate) name: Rc<[u8]>,
    /// The file that it is in, or `[kernel]`; empty where that is not known.
    pub(crate) module: Rc<[u8]>,
    pub(crate) is_kernel: bool,
}

impl Function {
    pub(super) fn of_kernel(name: &[u8], module: &[u8]) -> Self {
        Self { name: name.into(), module: module.into(), is_kernel: true }
    }

    /// By a name that somebody gave it: in quotes where it looks like one of ours.
    pub(super) fn named(name: &[u8], module: &[u8]) -> Self {
        if name.starts_with(b"[") && name.ends_with(b"]") {
            return Self::of_program(&[b"'", name, b"'"].concat(), module);
        }
        Self::of_program(name, module)
    }

    pub(super) fn of_program(name: &[u8], module: &[u8]) -> Self {
        Self { name: name.into(), module: module.into(), is_kernel: false }
    }
}

/// All that were found.
#[derive(Debug)]
pub(super) struct Names {
    functions: Vec<Function>,
    numbers: HashMap<Function, u32>,
    modules: HashSet<Rc<[u8]>>,
    bytes: usize,
}

impl Names {
    /// With these at first, which have the numbers from 0 on; the first is what is beyond the limits.
    pub(super) fn new(first: &[&str]) -> Self {
        let (functions, numbers, modules) = (Vec::new(), HashMap::new(), HashSet::new());
        let mut names = Self { functions, numbers, modules, bytes: 0 };
        for name in first {
            names.number_of(Function::of_program(name.as_bytes(), b""));
        }
        names
    }

    pub(super) fn function(&self, number: u32) -> &Function {
        self.functions.get(number as usize).unwrap_or(&self.functions[0])
    }

    pub(super) fn number_of(&mut self, mut function: Function) -> u32 {
        if let Some(number) = self.numbers.get(&function) {
            return *number;
        }
        let number = u32::try_from(self.functions.len()).unwrap_or(0);
        let bytes = function.name.len() + function.module.len() + 4 * size_of::<Function>();
        if self.functions.len() >= FUNCTIONS_MAX || self.bytes + bytes > BYTES_MAX {
            return 0;
        }
        match self.modules.get(&function.module) {
            Some(module) => function.module = module.clone(),
            None => drop(self.modules.insert(function.module.clone())),
        }
        self.bytes += bytes;
        self.functions.push(function.clone());
        self.numbers.insert(function, number);
        number
    }

    /// Are there so many that the next interval should begin without them?
    pub(super) fn is_half_full(&self) -> bool {
        self.functions.len() > FUNCTIONS_MAX / 2 || self.bytes > BYTES_MAX / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_bounded_memory() {
        let mut names = Names::new(&["[other]"]);
        for i in 0..200_000 {
            let name = format!("{i}{}", "x".repeat(1000));
            names.number_of(Function::of_program(name.as_bytes(), b"/lib/x"));
        }
        assert!(names.is_half_full() && names.bytes <= BYTES_MAX);
        let number = names.number_of(Function::of_program(b"one more".repeat(200).as_slice(), b""));
        assert_eq!((number, &names.function(number).name[..]), (0, &b"[other]"[..]));
    }
}
