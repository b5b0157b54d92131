//! From rows to lines. A tool has one table of columns; the text table and JSON are both made
//! from it, so that they cannot drift. Pure: knows nothing of BPF.

pub mod escape;
pub mod fields;
pub mod json;
pub mod table;

mod column;
mod time;

pub use column::{Column, Shown, Source, Value};
pub use time::Clock;
