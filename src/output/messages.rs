//! What is said to people beside the events: on standard error, which may be full, closed or a
//! terminal that is gone. Nobody is left to be told of that then, and the run goes on.

use std::fmt::Display;

use crate::output::sink;

/// A line on standard error, in one piece. `text` has no hostile bytes any more: `Error` escapes
/// what it quotes, everything else goes through `escape` first.
pub(crate) fn say(text: impl Display) {
    let line = format!("{text}\n");
    let _ = sink::write_err(line.as_bytes());
}
