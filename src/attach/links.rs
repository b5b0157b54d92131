//! What is attached to the kernel; dropped, it is detached.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use libbpf_rs::Link;

use crate::system::stop::Stop;

/// What is attached to the kernel.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(super) links: Vec<Link>,
    /// Of functions' entries: they go first, or the calls that begin while the others go would not
    /// be seen to return.
    pub(super) entries: Vec<Link>,
}

/// As many are detached at a time.
const DETACHERS: usize = 32;
/// How long a signal may go unnoticed meanwhile.
const TICK: Duration = Duration::from_millis(50);

impl Links {
    pub(crate) fn add(&mut self, links: impl IntoIterator<Item = Link>) {
        self.links.extend(links);
    }

    /// The same with what another one has.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.links.append(&mut other.links);
        self.entries.append(&mut other.entries);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty() && self.entries.is_empty()
    }

    pub(crate) fn take(&mut self) -> Vec<Link> {
        let mut links = std::mem::take(&mut self.entries);
        links.append(&mut self.links);
        links
    }
}

impl Links {
    /// Detaches all, but does not wait longer than the end may take.
    pub(crate) fn detach(mut self, stop: &Stop) {
        detach(std::mem::take(&mut self.entries), stop);
        detach(std::mem::take(&mut self.links), stop);
    }
}

impl Drop for Links {
    /// However long it takes.
    fn drop(&mut self) {
        let never = Stop::default();
        for links in [&mut self.entries, &mut self.links] {
            match links.len() {
                // Without a thread, which would be there for a moment still.
                0 | 1 => links.clear(),
                _ => detach(std::mem::take(links), &never),
            }
        }
    }
}

/// Many at a time: for each uprobe the kernel waits until no CPU can be in it any more, which takes a
/// tenth of a second. When the end is overdue, the rest is left to the end of this process: see
/// [`is_detaching`].
fn detach(links: Vec<Link>, stop: &Stop) {
    let detachers = links.len().min(DETACHERS);
    let links = Arc::new(Mutex::new(links.into_iter()));
    let (running, has_ended) = mpsc::channel::<()>();
    for _ in 0..detachers {
        let (links, running) = (links.clone(), running.clone());
        let detach = move || {
            while let Some(link) = next(&links) {
                drop(link);
            }
            drop(running);
        };
        // With fewer threads it takes longer.
        let _ = thread::Builder::new().spawn(detach);
    }
    drop(running);
    while has_ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        if stop.is_overdue() {
            IS_DETACHING.store(true, Ordering::Relaxed);
            break;
        }
    }
}

static IS_DETACHING: AtomicBool = AtomicBool::new(false);

/// Is something still being detached, by a thread that nobody waits for? Then nothing that belongs
/// to it may be freed any more: this process has to end as it is.
pub(crate) fn is_detaching() -> bool {
    IS_DETACHING.load(Ordering::Relaxed)
}

fn next(links: &Mutex<impl Iterator<Item = Link>>) -> Option<Link> {
    links.lock().ok().and_then(|mut links| links.next())
}
