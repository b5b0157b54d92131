//! Where programs are attached: the ladder of hooks, tracepoints, functions of files, samples; and the
//! files that are read for that.

pub mod elf;
pub(crate) mod hooks;
pub(crate) mod image;
pub(crate) mod libraries;
pub(crate) mod mappings;
pub(crate) mod samplers;
pub(crate) mod tracepoints;
pub(crate) mod uprobes;
