//! What nearly every tool uses.

pub(super) use clap::Args;
pub(super) use libbpf_rs::skel::Skel as _;

pub(super) use crate::attach::plan::{Hook, Plan, Probe};
pub(super) use crate::attach::points::Point;
pub(super) use crate::error::Result;
pub(super) use crate::output::values::Flags;
pub(super) use crate::output::{Column, Kind, Task, Value};
pub(super) use crate::run::host::Host;
pub(super) use crate::run::options::{EventOptions, IntervalOptions};
pub(super) use crate::run::session::{LoadOptions, Session, Storage};
pub(super) use crate::tool::{Named as _, Rows, Tool};
