//! Where programs are attached: the ladder of hooks, tracepoints, functions of files, samples; and the
//! files that are read for that.

pub mod elf;
pub(crate) mod image;
pub(crate) mod interface;
pub(crate) mod libraries;
pub(crate) mod links;
pub(crate) mod mappings;
pub(crate) mod plan;
pub(crate) mod points;
pub(crate) mod samplers;
pub(crate) mod tracepoints;
pub(crate) mod uprobes;
