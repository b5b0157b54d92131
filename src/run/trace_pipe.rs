//! What `bpf_printk` prints, from the kernel's trace_pipe. It belongs to the whole system: lines
//! that others printed are taken out too, and thrown away.

use std::cell::RefCell;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Context as _, Error, Result};
use crate::record::{Header, Record, Row};
use crate::run::lifecycle::{Source, TICK};
use crate::run::loss;
use crate::run::report::{Report, boottime_ns};
use crate::run::stream::Consumer;
use crate::system::kernel;

/// How long what is left in the pipe is read at the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was printed.
#[derive(Clone, Debug)]
pub(crate) struct Message(pub(crate) String);

impl Row for Message {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let message = Message(String::from_utf8_lossy(bytes).into_owned());
        show(&Record::of(&Header::default(), &message));
    }
}

/// The pipe, and what becomes of its messages.
pub(crate) struct Messages<'r> {
    pipe: File,
    start_ns: u64,
    consumer: Box<dyn Consumer<Message> + 'r>,
    /// A line that has begun.
    text: Vec<u8>,
    report: &'r RefCell<Report>,
}

impl<'r> Messages<'r> {
    /// From now on: what is in the pipe already is not ours.
    pub(crate) fn new(
        pipe: File,
        consumer: Box<dyn Consumer<Message> + 'r>,
        report: &'r RefCell<Report>,
    ) -> Self {
        report.borrow_mut().lost_on_the_way(loss::TRACE_PIPE);
        Self { pipe, start_ns: boottime_ns(), consumer, text: Vec::new(), report }
    }

    /// Shows what is there; is there more? Others may print without end.
    fn read_some(&mut self) -> Result<bool> {
        let end = Instant::now() + TICK;
        while self.read_piece()? {
            if Instant::now() >= end {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A page, most often; was there something?
    fn read_piece(&mut self) -> Result<bool> {
        let mut piece = [0; 1 << 16];
        let len = match self.pipe.read(&mut piece) {
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error).doing("reading trace_pipe"),
        };
        self.text.extend_from_slice(&piece[..len]);
        let text = std::mem::take(&mut self.text);
        let mut lines = text.split(|&byte| byte == b'\n');
        // What is behind the last newline has not ended yet.
        self.text = lines.next_back().unwrap_or_default().to_vec();
        for line in lines {
            let Some((header, message)) = parse(&String::from_utf8_lossy(line)) else { continue };
            if header.time_ns >= self.start_ns {
                let record = Record::of(&header, &message);
                self.consumer.take(&mut self.report.borrow_mut(), record);
            }
        }
        Ok(len > 0)
    }
}

impl Source for Messages<'_> {
    fn read(&mut self, at_most: Duration) -> Result<()> {
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::ZERO);
        // A signal is no error, and any other one is met by reading.
        let _ = poll(&mut [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)], timeout);
        self.read_some().map(drop)
    }

    fn interval(&mut self, length: Duration) -> Result<()> {
        self.consumer.interval(&mut self.report.borrow_mut(), length);
        Ok(())
    }

    fn drain(&mut self, _: u64) -> Result<()> {
        let patience = Instant::now() + PATIENCE;
        while !self.report.borrow_mut().has_failed()
            && self.read_some()?
            && Instant::now() < patience
        {}
        Ok(())
    }
}

/// Opens the pipe, which only one can read.
pub(crate) fn open() -> Result<File> {
    let mut options = File::options();
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let path = kernel::tracefs_for("opening trace_pipe")?.join("trace_pipe");
    match options.open(&path) {
        Err(error) if error.kind() == ErrorKind::ResourceBusy => {
            Err(Error::new("opening trace_pipe", "somebody else reads it; only one can"))
        }
        opened => opened.doing(format!("opening {}", path.display())),
    }
}

/// `comm-12 [000] d..21 1.5: bpf_trace_printk: Hello, World! pid 12 uid 0 at 15` as hello.bpf.c
/// prints it.
fn parse(line: &str) -> Option<(Header, Message)> {
    let (_, printed) = line.split_once("bpf_trace_printk: ")?;
    let (message, numbers) = printed.split_once(" pid ")?;
    let mut words = numbers.split_whitespace();
    let pid = words.next()?.parse().ok()?;
    let uid = words.nth(1)?.parse().ok()?;
    let time_ns = words.nth(1)?.parse().ok()?;
    Some((Header { pid, uid, time_ns, ..Header::default() }, Message(message.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_hello_prints() {
        let line = " sh-12 [000] d..21  1.5: bpf_trace_printk: Hello, World! pid 12 uid 7 at 15\n";
        let (header, message) = parse(line).unwrap();
        assert_eq!((header.pid, header.uid, header.time_ns), (12, 7, 15));
        assert_eq!(message.0, "Hello, World!");
        for other in ["", "x: bpf_trace_printk: hi", "bpf_trace_printk:  pid a uid b at c"] {
            assert!(parse(other).is_none(), "{other}");
        }
    }
}
