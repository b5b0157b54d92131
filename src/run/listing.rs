//! Rows that are all known before the first is shown: no run, and nothing that is lost.

use std::io;

use crate::error::{Error, Result};
use crate::output::{Clock, Column};
use crate::record::{Header, Record};
use crate::run::host::Host;
use crate::run::options::OutputOptions;

/// Prints them; `kind` is their type in JSON.
pub(crate) fn print<E>(
    host: &Host,
    kind: &str,
    columns: &[&Column<E>],
    options: &OutputOptions,
    rows: &[E],
) -> Result<()> {
    let screen = host.screen(options);
    let lines = options.lines(kind, host.tool, columns);
    let mut output = host.output();
    output.lines(0, |out| lines.header(out, screen));
    let (header, clock) = (Header::default(), Clock::new(0));
    for row in rows {
        let record = Record::of(&header, row);
        output.lines(1, |out| lines.row(out, &clock, screen, None, &record));
    }
    output.flush();
    match output.failure() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new("writing to standard output", error))
        }
        _ => Ok(()),
    }
}
