//! The names of the programs, as build.rs finds them in the objects: a wrong one does not compile,
//! and neither does one that nothing attaches. Those that all tools have are in `common`.

#![deny(dead_code)]

/// A program of an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Program(&'static str);

impl Program {
    /// As in the `.bpf.c`.
    pub(crate) const fn name(self) -> &'static str {
        self.0
    }
}

include!(concat!(env!("OUT_DIR"), "/programs.rs"));
