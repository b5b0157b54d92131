//! Whose events are wanted, and of which paths.

pub(crate) mod cgroups;
pub(crate) mod packets;
pub(crate) mod paths;
pub(crate) mod pids;
pub(crate) mod pods;
pub(crate) mod tasks;
