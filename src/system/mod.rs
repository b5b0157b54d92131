//! This machine: its kernel, its processes, what functions are called; and all that is unsafe.

pub(crate) mod demangle;
pub(crate) mod foreign;
pub(crate) mod kernel;
pub(crate) mod kernel_types;
pub(crate) mod lock;
pub(crate) mod names;
pub(crate) mod processes;
pub mod procfs;
pub(crate) mod protocols;
pub(crate) mod stop;
pub mod symbols;
pub(crate) mod sys;
pub(crate) mod syscalls;
