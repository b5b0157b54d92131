//! What is said to people beside the events: on standard error, which may be full, closed or a
//! terminal that is gone. Nobody is left to be told of that then, and the run goes on.

use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::escape;
use crate::output::sink::Stream;
use crate::output::status::{Status, grouped};
use crate::system::lock::locked;

/// Work that takes longer is told of while it is done.
const LONG: Duration = Duration::from_millis(500);

/// Who says it, and where.
#[derive(Clone, Debug)]
pub(crate) struct Messages {
    tool: &'static str,
    is_verbose: bool,
    to: Arc<Stream>,
    status: Status,
    hooks: Hooks,
}

/// A thread that tells of what takes long.
struct Telling {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Telling {
    /// It ends now.
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The hooks that a run uses, for who wants to know.
pub(crate) type Hooks = Arc<Mutex<Vec<String>>>;

impl Messages {
    /// Those of a tool; `is_verbose` with `-v`.
    pub(crate) fn new(
        tool: &'static str,
        is_verbose: bool,
        to: Arc<Stream>,
        status: Status,
        hooks: Hooks,
    ) -> Self {
        Self { tool, is_verbose, to, status, hooks }
    }

    /// A line of the tool's, in one piece. `text` has no hostile bytes any more: `Error` escapes what
    /// it quotes, everything else goes through `escape` first.
    pub(crate) fn say(&self, text: impl Display) {
        self.status.clear();
        let line = format!("{}: {text}\n", self.tool);
        if let Some(line) = self.status.keep(line) {
            let _ = self.to.write(line.as_bytes());
        }
    }

    /// How many have had to wait, and the last of them.
    pub(crate) fn waiting(&self, most: usize) -> (u64, Vec<String>) {
        let (all, lines) = self.status.kept(most);
        (all, lines.iter().map(|line| line.trim_end().to_string()).collect())
    }

    /// Says them all: they need not wait any more.
    pub(crate) fn release(&self) {
        for line in self.status.release() {
            let _ = self.to.write(line.as_bytes());
        }
    }

    /// The same for those who asked for it with `-v`; any bytes.
    pub(crate) fn note(&self, text: impl AsRef<[u8]>) {
        if self.is_verbose {
            self.say(escape::text(text.as_ref()));
        }
    }

    /// A hook is in use.
    pub(crate) fn hook_in_use(&self, hook: impl Display) {
        locked(&self.hooks).push(hook.to_string());
        self.note(format!("hook in use: {hook}"));
    }

    /// Those that are.
    pub(crate) fn hooks(&self) -> Vec<String> {
        locked(&self.hooks).clone()
    }

    /// What is being done, until something else is said: on a terminal alone. Any bytes.
    pub(crate) fn doing(&self, text: impl AsRef<[u8]>) {
        if self.is_status_shown() {
            self.status.show(&format!("{}: {}", self.tool, escape::text(text.as_ref())));
        }
    }

    /// Does `work`, and says so while it takes long, with how much of it is done: what it counts.
    pub(crate) fn during<T>(&self, text: &str, work: impl FnOnce(&AtomicUsize) -> T) -> T {
        let done = Arc::default();
        let telling = self.telling(text, &done);
        let outcome = work(&done);
        drop(telling);
        outcome
    }

    /// Says so when it takes long, until it is dropped.
    fn telling(&self, text: &str, done: &Arc<AtomicUsize>) -> Option<Telling> {
        if !self.is_status_shown() {
            return None;
        }
        let (text, messages, done) = (text.to_string(), self.clone(), done.clone());
        let (end, is_end) = channel::<()>();
        let tell = move || {
            let mut told = None;
            while is_end.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
                let done = done.load(Ordering::Relaxed);
                if told.replace(done) != Some(done) {
                    let part = format!(": {} done", grouped(done as u64));
                    messages.doing(text.clone() + if done > 0 { &part } else { "" });
                }
            }
            if told.is_some() {
                messages.status.clear();
            }
        };
        let thread = thread::Builder::new().spawn(tell).ok()?;
        Some(Telling { end: Some(end), thread: Some(thread) })
    }

    /// Whether there is a line for what is being done.
    pub(crate) fn is_status_shown(&self) -> bool {
        !self.is_verbose && self.status.is_wanted()
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
