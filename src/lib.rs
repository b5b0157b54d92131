//! Linux tracing tools on eBPF, in one binary.
//!
//! `cli` finds the tool that is asked for, in the table of `tools`. A tool opens a `session`, which
//! loads its BPF program; `attach` attaches it, and `run` runs it: what the kernel saw goes from a source
//! (a ring, tables, trace_pipe) through `record` and `output` to standard output, while `loss` keeps the
//! accounts. `serve` runs several tools in one process. Dependencies point down this list: `cli`, `serve`,
//! `tools`, `run`, `attach` and `filter`, `output`, `system`, `record`, `escape`, `crc32` and `error`.
//! `CONTRIBUTING.md` says how to add a tool.
//!
//! This is the binary's inside, not a library with a stable interface: what is public is so for
//! the tests.

// They abort the program when the stream is full or gone: messages.rs and output.rs do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod attach;
pub mod cli;
pub mod error;
pub mod escape;
pub mod output;
pub mod record;
pub mod system;
pub mod tools;

mod bpf;
mod crc32;
mod filter;
mod run;
mod serve;
mod tool;

#[cfg(test)]
#[path = "../tests/live/validator.rs"]
mod validator;
