//! Counts of a histogram's slots.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::hist;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape {
    also: r#""items":{"type":"object","required":["from","below","count"],"properties":{"from":{"type":"integer","minimum":0},"below":{"type":"integer","minimum":0},"count":{"type":"integer","minimum":0}}}"#,
    ..Shape::STRINGS
};

pub(super) fn text(to: &mut Cell<'_>, slots: &[u32]) {
    to.number(slots.iter().filter(|&&count| count > 0).count());
}

/// Those that are not empty, with their limits.
pub(super) fn json(to: &mut Entry<'_>, slots: &[u32]) {
    to.value(Slots(slots));
}

struct Slots<'a>(&'a [u32]);

impl Serialize for Slots<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let used = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        to.collect_seq(used.map(|(slot, &count)| Slot { slot, count }))
    }
}

/// A slot of a histogram.
struct Slot {
    slot: usize,
    count: u32,
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("from", &hist::least(self.slot))?;
        map.serialize_entry("below", &hist::least(self.slot + 1))?;
        map.serialize_entry("count", &self.count)?;
        map.end()
    }
}
