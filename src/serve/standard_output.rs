//! Standard output, for all tools whose file is `-`: a pipe, or systemd's journal. A reader who does not
//! read is waited for a moment only: tools would stand still, and nobody know what they lose.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Context as _, Result};
use crate::output::buffer::Taker;
use crate::output::messages::Messages;
use crate::output::sink::{Rows, Stream};
use crate::output::status::Status;
use crate::system::stop::Stop;

/// How long a reader is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// Lines are whole there: what is left of one that was begun is written before all others.
#[derive(Debug)]
pub(super) struct StandardOutput {
    rows: Rows,
    rest: Vec<u8>,
    messages: Messages,
    is_waiting: bool,
}

impl StandardOutput {
    pub(super) fn new(messages: Messages) -> Result<Self> {
        let fd = io::stdout().as_fd().try_clone_to_owned().doing("opening standard output")?;
        let to = Arc::new(Stream::new(fd, Stop::default()).waiting_at_most(PATIENCE));
        let status = Status::new(to.clone(), &to).silent();
        let rows = Rows { to, status };
        Ok(Self { rows, rest: Vec::new(), messages, is_waiting: false })
    }

    fn write_rest(&mut self) -> Option<io::Error> {
        let (written, error) = self.rows.write(&self.rest);
        self.rest.drain(..written);
        error
    }

    /// Says when it begins and when it ends that nobody reads.
    fn tell(&mut self, error: Option<&io::Error>) {
        match (error, self.is_waiting) {
            (Some(error), false) => self.messages.say(format_args!(
                "writing to standard output: {error}; until it takes more, events are counted as lost"
            )),
            (None, true) => self.messages.say("writing to standard output: it goes on"),
            _ => {}
        }
        self.is_waiting = error.is_some();
    }
}

impl Taker for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        if bytes.is_empty() && self.rest.is_empty() {
            return (0, None);
        }
        let (mut written, mut error) = (0, self.write_rest());
        if error.is_none() {
            (written, error) = self.rows.write(bytes);
        }
        let is_whole = written == 0 || bytes[written - 1] == b'\n';
        if error.is_some() && !is_whole {
            let line = bytes[written..].iter().position(|byte| *byte == b'\n');
            let end = line.map_or(bytes.len(), |len| written + len + 1);
            self.rest = bytes[written..end].to_vec();
            written = end;
        }
        self.tell(error.as_ref());
        (written, error)
    }

    /// There is no half a line.
    fn take_back(&mut self, _: usize) {}

    fn is_closed(&self) -> bool {
        self.rows.is_closed()
    }

    fn recovers(&self) -> bool {
        true
    }
}
