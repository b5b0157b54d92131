//! A run of a tool: what it asks for, its loop, where events come from, its accounts, its end.

pub(crate) mod capabilities;
pub(crate) mod command;
pub(crate) mod confinement;
pub(crate) mod counts;
pub(crate) mod drawing;
pub(crate) mod groups;
pub(crate) mod host;
pub(crate) mod intervals;
pub(crate) mod lifecycle;
pub(crate) mod listing;
pub(crate) mod loss;
pub(crate) mod options;
pub(crate) mod report;
pub(crate) mod session;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod stop_condition;
pub(crate) mod stream;
pub(crate) mod summary;
pub(crate) mod tables;
pub(crate) mod tally;
pub(crate) mod task_key;
pub(crate) mod terminal;
pub(crate) mod trace_pipe;
pub(crate) mod traced;
