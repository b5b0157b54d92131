//! Linux tracing tools on eBPF, in one binary.
//!
//! `cli` finds the tool that is asked for, in the table of `tools`. A tool opens a `session`, which
//! loads its BPF program and attaches it (`hooks`); `lifecycle` is its run: what the kernel saw goes
//! from a source (`stream`, `counts`, `trace_pipe`) through `decode` and `render` to standard output,
//! while `loss` keeps the accounts. `CONTRIBUTING.md` says how to add a tool.
//!
//! This is the binary's inside, not a library with a stable interface: what is public is so for
//! the tests.

// They abort the program when the stream is full or gone: messages.rs and output.rs do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod cli;
pub mod decode;
pub mod elf;
pub mod error;
pub mod procfs;
pub mod render;
pub mod symbols;

mod bpf;
mod cgroups;
mod command;
mod confinement;
mod counts;
mod demangle;
mod ending;
mod foreign;
mod hist;
mod hooks;
mod image;
mod kernel;
mod kernel_types;
mod libraries;
mod lifecycle;
mod loss;
mod mappings;
mod messages;
mod names;
mod options;
mod output;
mod page;
mod paths;
mod privileges;
mod processes;
mod report;
mod resolvers;
mod samplers;
mod servers;
mod session;
mod shells;
mod signals;
mod sink;
mod stream;
mod sys;
mod syscalls;
mod tables;
mod tool;
pub mod tools;
mod trace_pipe;
mod tracepoints;
mod uprobes;
