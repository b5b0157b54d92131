//! Where the time of a run of the live tests goes, in one line at its end.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// So many of the slowest cases are named.
const SLOWEST: usize = 5;

/// How often something was waited for, and how long altogether.
pub(crate) struct Waits(Mutex<(u32, Duration)>);

/// From the start of ebtools until it has attached, where a case waits for that.
pub(crate) static STARTS: Waits = Waits(Mutex::new((0, Duration::ZERO)));
/// For the data of servers.
pub(crate) static SERVERS: Waits = Waits(Mutex::new((0, Duration::ZERO)));

impl Waits {
    pub(crate) fn add(&self, since: Instant) {
        let mut all = self.0.lock().expect("nobody panics here");
        *all = (all.0 + 1, all.1 + since.elapsed());
    }

    /// How many there were, and seconds.
    fn seen(&self) -> (u32, f64) {
        let all = self.0.lock().expect("nobody panics here");
        (all.0, all.1.as_secs_f64())
    }
}

/// The line, of the names and seconds of all cases.
pub(crate) fn line(mut cases: Vec<(&str, f64)>) -> String {
    let mut line = format!("time: cases {:.0} s", cases.iter().map(|(_, time)| time).sum::<f64>());
    let (starts, time) = STARTS.seen();
    if starts > 0 {
        let _ = write!(line, "; {starts} starts of tools, {:.1} s each", time / f64::from(starts));
    }
    let (servers, time) = SERVERS.seen();
    if servers > 0 {
        let _ = write!(line, "; data of {servers} servers, {time:.1} s");
    }
    cases.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    for (index, (name, time)) in cases.iter().take(SLOWEST).enumerate() {
        let before = if index == 0 { "; slowest" } else { "," };
        let _ = write!(line, "{before} {name} {time:.1}");
    }
    line
}
