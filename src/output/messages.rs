//! What is said to people beside the events: on standard error, which may be full, closed or a
//! terminal that is gone. Nobody is left to be told of that then, and the run goes on.

use std::fmt::Display;
use std::sync::Arc;

use crate::escape;
use crate::output::sink::Stream;

/// Who says it, and where.
#[derive(Clone, Debug)]
pub(crate) struct Messages {
    tool: &'static str,
    is_verbose: bool,
    to: Arc<Stream>,
}

impl Messages {
    /// Those of a tool; `is_verbose` with `-v`.
    pub(crate) fn new(tool: &'static str, is_verbose: bool, to: Arc<Stream>) -> Self {
        Self { tool, is_verbose, to }
    }

    /// A line of the tool's, in one piece. `text` has no hostile bytes any more: `Error` escapes what
    /// it quotes, everything else goes through `escape` first.
    pub(crate) fn say(&self, text: impl Display) {
        let _ = self.to.write(format!("{}: {text}\n", self.tool).as_bytes());
    }

    /// The same for those who asked for it with `-v`; any bytes.
    pub(crate) fn note(&self, text: impl AsRef<[u8]>) {
        if self.is_verbose {
            self.say(escape::text(text.as_ref()));
        }
    }

    /// Who says them.
    pub(crate) fn tool(&self) -> &'static str {
        self.tool
    }

    /// Was `-v` given?
    pub(crate) fn are_verbose(&self) -> bool {
        self.is_verbose
    }
}
