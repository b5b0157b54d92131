//! Profiles for pprof: its `profile.proto`, as gzip.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use super::files::{Functions, Sampled};
use super::protobuf::{Message, numbers};
use super::{Stack, gzip};
use crate::escape;
use crate::system::symbols::Function;

/// The numbers of fields.
mod profile {
    pub(super) const SAMPLE_TYPE: u32 = 1;
    pub(super) const SAMPLE: u32 = 2;
    pub(super) const MAPPING: u32 = 3;
    pub(super) const LOCATION: u32 = 4;
    pub(super) const FUNCTION: u32 = 5;
    pub(super) const STRING: u32 = 6;
    pub(super) const TIME_NANOS: u32 = 9;
    pub(super) const DURATION_NANOS: u32 = 10;
    pub(super) const PERIOD_TYPE: u32 = 11;
    pub(super) const PERIOD: u32 = 12;
    pub(super) const COMMENT: u32 = 13;
}
mod value_type {
    pub(super) const TYPE: u32 = 1;
    pub(super) const UNIT: u32 = 2;
}
mod sample {
    pub(super) const LOCATIONS: u32 = 1;
    pub(super) const VALUES: u32 = 2;
    pub(super) const LABEL: u32 = 3;
}
mod label {
    pub(super) const KEY: u32 = 1;
    pub(super) const TEXT: u32 = 2;
}
mod mapping {
    pub(super) const ID: u32 = 1;
    pub(super) const FILE: u32 = 5;
    pub(super) const HAS_FUNCTIONS: u32 = 7;
}
mod location {
    pub(super) const ID: u32 = 1;
    pub(super) const MAPPING: u32 = 2;
    pub(super) const LINE: u32 = 4;
}
mod line {
    pub(super) const FUNCTION: u32 = 1;
}
mod function {
    pub(super) const ID: u32 = 1;
    pub(super) const NAME: u32 = 2;
}

pub(super) fn write(sampled: &Sampled<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&gzip::pack(&encode(sampled)))
}

fn encode(sampled: &Sampled<'_>) -> Vec<u8> {
    let mut profile = Profile::default();
    profile.add_head(sampled);
    let stacks = sampled.in_order();
    if let Some(main) = main(sampled.functions, &stacks) {
        profile.mapping(&main.module);
    }
    for number in sampled.functions_in_order() {
        profile.add_function(number, sampled.functions.function(number));
    }
    let period_ns = sampled.period_ns();
    for ((comm, stack), count) in stacks {
        profile.add_sample(comm, stack, [count, count.saturating_mul(period_ns)]);
    }
    profile.message.into_bytes()
}

/// pprof takes the first mapping for the program: that of the most frequent stack which has one.
fn main<'a>(functions: &'a dyn Functions, stacks: &[(&Stack, u64)]) -> Option<&'a Function> {
    let program = |stack: &[u32]| {
        let mut functions = stack.iter().rev().map(|&number| functions.function(number));
        functions.find(|function| !function.is_kernel && !function.module.is_empty())
    };
    let programs = stacks.iter().filter_map(|((_, stack), count)| Some((count, program(stack)?)));
    programs.max_by_key(|(count, _)| *count).map(|(_, function)| function)
}

#[derive(Default)]
struct Profile {
    message: Message,
    /// Their numbers.
    strings: HashMap<String, u32>,
    /// Which of them are names of mappings that have been added.
    mappings: Vec<bool>,
}

impl Profile {
    fn add_head(&mut self, sampled: &Sampled<'_>) {
        // The first string has to be empty.
        self.string(b"");
        for (kind, unit) in [("samples", "count"), ("cpu", "nanoseconds")] {
            let value_type = self.value_type(kind, unit);
            self.message.message(profile::SAMPLE_TYPE, &value_type);
        }
        let period_type = self.value_type("cpu", "nanoseconds");
        self.message.message(profile::PERIOD_TYPE, &period_type);
        self.message.number(profile::PERIOD, sampled.period_ns());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let began = now.saturating_sub(sampled.length);
        self.message.number(profile::TIME_NANOS, nanoseconds(began));
        self.message.number(profile::DURATION_NANOS, nanoseconds(sampled.length));
        // It was made of what can be shown.
        let title = self.shown(sampled.title());
        self.message.number(profile::COMMENT, title);
    }

    /// With one location, which has no address: those are not kept.
    fn add_function(&mut self, number: u32, function: &Function) {
        let (id, name) = (id(number), self.string(&function.name));
        let message = numbers([(function::ID, id), (function::NAME, name)]);
        self.message.message(profile::FUNCTION, &message);
        let mapping = self.mapping(&function.module);
        let mut location = numbers([(location::ID, id), (location::MAPPING, mapping)]);
        location.message(location::LINE, &numbers([(line::FUNCTION, id)]));
        self.message.message(profile::LOCATION, &location);
    }

    fn add_sample(&mut self, comm: &[u8], stack: &[u32], values: [u64; 2]) {
        let comm = numbers([(label::KEY, self.string(b"comm")), (label::TEXT, self.string(comm))]);
        let mut sample = Message::default();
        // The last call first.
        sample.packed(sample::LOCATIONS, stack.iter().rev().map(|&number| id(number)));
        sample.packed(sample::VALUES, values);
        sample.message(sample::LABEL, &comm);
        self.message.message(profile::SAMPLE, &sample);
    }

    /// 0 where it is not known.
    fn mapping(&mut self, module: &[u8]) -> u64 {
        let file = self.string(module);
        let at = file as usize;
        self.mappings.resize(self.mappings.len().max(at + 1), false);
        if file != 0 && !std::mem::replace(&mut self.mappings[at], true) {
            // With functions, so that pprof looks for none itself.
            let id = (mapping::ID, file);
            let mapping = numbers([id, (mapping::FILE, file), (mapping::HAS_FUNCTIONS, 1)]);
            self.message.message(profile::MAPPING, &mapping);
        }
        file
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> Message {
        let (kind, unit) = (self.string(kind.as_bytes()), self.string(unit.as_bytes()));
        numbers([(value_type::TYPE, kind), (value_type::UNIT, unit)])
    }

    fn string(&mut self, bytes: &[u8]) -> u64 {
        self.shown(escape::text(bytes))
    }

    fn shown(&mut self, text: String) -> u64 {
        let next = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        let number = self.strings.entry(text).or_insert_with_key(|text| {
            self.message.bytes(profile::STRING, text.as_bytes());
            next
        });
        u64::from(*number)
    }
}

/// Of a function and its location. 0 is none.
fn id(number: u32) -> u64 {
    u64::from(number) + 1
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::profile::files::tests::{Made, Shown, made};
    use crate::tools::profile::gzip::tests::unpack;
    use crate::tools::profile::protobuf::tests::{Read, fields, packed};
    use proptest::prelude::*;

    const PERIOD_NS: u64 = 1_000_000_000 / 99;

    /// What a reader makes of it.
    struct Reader(Vec<(u32, Read)>);

    impl Reader {
        fn of(made: &Made) -> Self {
            let mut out = Vec::new();
            write(&made.sampled(), &mut out).unwrap();
            Self(fields(&unpack(&out)))
        }

        fn all(&self, field: u32) -> impl Iterator<Item = &Read> {
            self.0.iter().filter(move |(one, _)| *one == field).map(|(_, value)| value)
        }

        fn text(&self, number: u64) -> String {
            let text = self.all(profile::STRING).nth(number as usize).unwrap();
            String::from_utf8(text.bytes().to_vec()).unwrap()
        }

        /// The one with this id.
        fn by_id(&self, field: u32, id: u64) -> Vec<(u32, Read)> {
            let mut found = self.all(field).map(|one| fields(one.bytes()));
            found.find(|one| number(one, 1) == id).unwrap()
        }

        /// Its name and its module.
        fn function(&self, location: u64) -> (String, String) {
            let location = self.by_id(profile::LOCATION, location);
            let line = location.iter().find(|(field, _)| *field == location::LINE).unwrap();
            let id = number(&fields(line.1.bytes()), line::FUNCTION);
            let name = number(&self.by_id(profile::FUNCTION, id), function::NAME);
            let module = match number(&location, location::MAPPING) {
                0 => String::new(),
                id => self.text(number(&self.by_id(profile::MAPPING, id), mapping::FILE)),
            };
            (self.text(name), module)
        }

        fn samples(&self) -> Shown {
            let mut shown = Shown::new();
            for sample in self.all(profile::SAMPLE) {
                let [locations, values, label] = &fields(sample.bytes())[..] else {
                    panic!("{sample:?}")
                };
                let label = fields(label.1.bytes());
                assert_eq!(self.text(number(&label, label::KEY)), "comm");
                let locations = packed(locations.1.bytes());
                let stack = locations.iter().rev().map(|&location| self.function(location));
                let [count, time_ns] = packed(values.1.bytes())[..] else { panic!("{values:?}") };
                assert_eq!(time_ns, count * PERIOD_NS);
                let key = (self.text(number(&label, label::TEXT)), stack.collect());
                *shown.entry(key).or_default() += count;
            }
            shown
        }

        fn kind(&self, value: &Read) -> [String; 2] {
            let kind = fields(value.bytes());
            [value_type::TYPE, value_type::UNIT].map(|field| self.text(number(&kind, field)))
        }
    }

    fn number(fields: &[(u32, Read)], field: u32) -> u64 {
        fields.iter().find(|(one, _)| *one == field).unwrap().1.number()
    }

    #[test]
    fn says_what_was_sampled() {
        let stacks: [(&[u8], &[&str], u64); 2] =
            [(b"sh", &["[mark]", "main", "k:read"], 3), (b"sh", &["k:main"], 5)];
        let made = Made::new("make", &stacks);
        let read = Reader::of(&made);
        assert_eq!(read.samples(), made.shown());
        let kinds = read.all(profile::SAMPLE_TYPE).map(|kind| read.kind(kind)).collect::<Vec<_>>();
        assert_eq!(kinds, [["samples", "count"], ["cpu", "nanoseconds"]]);
        assert_eq!(number(&read.0, profile::PERIOD), PERIOD_NS);
        assert_eq!(number(&read.0, profile::DURATION_NANOS), 12_345_000_000);
        let title = read.text(number(&read.0, profile::COMMENT));
        assert_eq!(title, "make: 99 Hz, 12.3 s, 8 samples");
        // The program's own file is the first, whatever has the most samples.
        let files =
            read.all(profile::MAPPING).map(|one| number(&fields(one.bytes()), mapping::FILE));
        let files = files.map(|file| read.text(file)).collect::<Vec<_>>();
        assert_eq!(files, ["/bin/x", "[kernel]"]);
        assert!(Reader::of(&Made::new("x", &[])).samples().is_empty());
    }

    proptest! {
        #[test]
        fn comes_back_whatever_the_names_are(made in made()) {
            let read = Reader::of(&made);
            prop_assert_eq!(read.samples(), made.shown());
            prop_assert_eq!(read.text(0), "");
        }
    }
}
