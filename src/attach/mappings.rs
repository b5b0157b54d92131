//! Libraries that processes map while we trace: the kernel tells of each mapping that may be run by records of perf
//! events, as it does `perf record`. Nothing has to be asked for then, however long a process has run.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use libbpf_rs::libbpf_sys::{
    PERF_COUNT_SW_DUMMY, PERF_FORMAT_TOTAL_TIME_ENABLED, PERF_RECORD_LOST, PERF_RECORD_MMAP,
    PERF_TYPE_SOFTWARE, perf_event_attr,
};

use crate::attach::samplers::Event;
use crate::error::{Context as _, Result};
use crate::system::kernel;
use crate::system::sys::{self, PerfRing};

/// What tells of mappings.
#[derive(Debug)]
pub(crate) struct Mappings {
    cpus: BTreeMap<u32, (Event, PerfRing)>,
    /// Something was not told since the last time that it was said so.
    is_incomplete: bool,
    last_full: Option<Instant>,
}

/// Who has mapped something since the last time.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct News {
    pids: HashSet<u32>,
    /// Perhaps others too.
    anybody: bool,
}

impl News {
    pub(crate) fn may_be_of(&self, pid: u32) -> bool {
        self.anybody || self.pids.contains(&pid)
    }
}

/// To look at all processes takes long, and whoever makes many mappings can have it done: not more often.
const BETWEEN_FULL: Duration = Duration::from_secs(10);

impl Mappings {
    /// # Errors
    ///
    /// When perf events are refused: they are root's in some containers.
    pub(crate) fn start() -> Result<Self> {
        let mut mappings =
            Self { cpus: BTreeMap::new(), is_incomplete: false, last_full: Some(Instant::now()) };
        mappings.follow_cpus()?;
        Ok(mappings)
    }

    /// CPUs come and go, as in `samplers`: what was mapped meanwhile was not told.
    fn follow_cpus(&mut self) -> Result<()> {
        let online = kernel::online_cpus()?;
        let before = self.cpus.len();
        self.cpus.retain(|cpu, (event, _)| online.contains(cpu) && event.is_alive());
        self.is_incomplete |= self.cpus.len() < before;
        for cpu in online {
            if !self.cpus.contains_key(&cpu) {
                self.is_incomplete |= before > 0;
                self.cpus.insert(cpu, open(cpu)?);
            }
        }
        Ok(())
    }

    /// Who has mapped a file since the last time whose name is `wanted`.
    pub(crate) fn news(&mut self, wanted: impl Fn(&[u8]) -> bool) -> News {
        let mut news = News::default();
        for (_, ring) in self.cpus.values_mut() {
            self.is_incomplete |= read(&ring.take(), &wanted, &mut news.pids);
        }
        // A CPU that is not there yet, or not any more, is tried again.
        self.is_incomplete |= self.follow_cpus().is_err();
        let is_time = self.last_full.is_none_or(|last| last.elapsed() >= BETWEEN_FULL);
        if self.is_incomplete && is_time {
            (self.is_incomplete, self.last_full) = (false, Some(Instant::now()));
            news.anybody = true;
        }
        news
    }
}

fn open(cpu: u32) -> Result<(Event, PerfRing)> {
    let doing = "opening perf events of mappings";
    let config = PERF_COUNT_SW_DUMMY.into();
    let mut attr = perf_event_attr { type_: PERF_TYPE_SOFTWARE, config, ..Default::default() };
    attr.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED.into();
    attr.set_mmap(1);
    let event = sys::perf_event_open(&mut attr, cpu).doing(doing)?;
    let ring = PerfRing::new(&event).doing(doing)?;
    Ok((Event::from(event), ring))
}

/// Reads records: who has mapped a file whose name is `wanted`. Were some lost?
///
/// `struct perf_event_header` of linux/perf_event.h: the kind, and after another number the size of all.
/// Of a mapping: pid, tid, address, length, offset, and the path with a NUL.
fn read(mut records: &[u8], wanted: impl Fn(&[u8]) -> bool, pids: &mut HashSet<u32>) -> bool {
    const HEAD: usize = 8;
    let mut has_lost = false;
    while let Some((head, _)) = records.split_first_chunk::<HEAD>() {
        let kind = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
        let size = usize::from(u16::from_ne_bytes([head[6], head[7]])).max(HEAD);
        let Some((record, rest)) = records.split_at_checked(size) else { return true };
        records = rest;
        match kind {
            PERF_RECORD_LOST => has_lost = true,
            PERF_RECORD_MMAP => {
                let Some((pid, rest)) = record[HEAD..].split_first_chunk() else { continue };
                let path = rest.get(4 + 3 * 8..).unwrap_or_default();
                let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
                if wanted(path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()) {
                    pids.insert(u32::from_ne_bytes(*pid));
                }
            }
            _ => {}
        }
    }
    has_lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u32, rest: &[u8]) -> Vec<u8> {
        let size = u16::try_from(8 + rest.len()).unwrap();
        [&kind.to_ne_bytes()[..], &[0; 2], &size.to_ne_bytes(), rest].concat()
    }

    fn mapped(pid: u32, path: &[u8]) -> Vec<u8> {
        record(PERF_RECORD_MMAP, &[&pid.to_ne_bytes()[..], &[0; 28], path, &[0; 3]].concat())
    }

    #[test]
    fn reads_who_maps() {
        let all = [mapped(7, b"/lib/libc.so.6"), record(3, &[1; 8]), mapped(8, b"//anon")];
        let mut pids = HashSet::new();
        assert!(!read(&all.concat(), |name| name == b"libc.so.6", &mut pids));
        assert_eq!(pids, HashSet::from([7]));
        assert!(read(&record(PERF_RECORD_LOST, &[0; 16]), |_| true, &mut pids));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(records: Vec<u8>) {
            read(&records, |_| true, &mut HashSet::new());
        }
    }
}
