//! What records are, as JSON Schema, for those who write programs that read them. Made from the
//! columns, which the records are made from too.

use super::entry::{key, value_into};
use super::json::SCHEMA;
use super::shape::Shape;
use super::{Column, Kind};

/// The records of one type that a tool prints.
#[derive(Debug)]
pub(crate) struct Records {
    /// Their type.
    kind: &'static str,
    /// The keys that all of them have, beside `type` and `tool`.
    always: &'static [&'static str],
    keys: Vec<Key>,
}

/// A key of records.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    name: &'static str,
    about: &'static str,
    /// What its value may be.
    shapes: Vec<Shape>,
}

impl<E> From<&Column<E>> for Key {
    fn from(column: &Column<E>) -> Self {
        let mut key = Self { name: column.key, about: column.about, shapes: Vec::new() };
        key.may_be([Some(column.kind), column.or].into_iter().flatten().map(Kind::shape));
        key
    }
}

impl Key {
    fn may_be(&mut self, shapes: impl IntoIterator<Item = Shape>) {
        for shape in shapes {
            if !self.shapes.contains(&shape) {
                self.shapes.push(shape);
            }
        }
    }
}

const SEQ: (&str, &str, Shape) =
    ("seq", "the number of the line in its run, from 0", Shape::UNSIGNED);
const NAME: (&str, &str, Shape) =
    ("name", "what `serve` calls the tool, where that is not its own name", Shape::STRING);
const TIME: &str = "time";

const START: &[(&str, &str, Shape)] = &[
    ("schema", "the version of this contract", Shape::STRING),
    NAME,
    SEQ,
    (TIME, "when all was attached", Shape::TIME),
    ("version", "of ebtools", Shape::STRING),
    ("host", "the name of the machine", Shape::STRING),
    ("boot_id", "tells one boot of the machine from others", Shape::STRING),
    ("kernel", "the kernel's release", Shape::STRING),
    ("options", "the tool's arguments, as they were given", Shape::STRINGS),
    ("command", "the command behind --, and its arguments", Shape::STRINGS),
    ("hooks", "what is in use to see events", Shape::STRINGS),
];
const LOST: &[(&str, &str, Shape)] = &[
    NAME,
    SEQ,
    (TIME, "when it was found", Shape::TIME),
    ("reason", "why they were lost", Shape::STRING),
    ("count", "how many events were lost", Shape::UNSIGNED),
];
const SUMMARY: &[(&str, &str, Shape)] = &[
    NAME,
    SEQ,
    (TIME, "when the accounts were closed", Shape::TIME),
    ("produced", "how many events there were: those delivered and those lost", Shape::UNSIGNED),
    ("delivered", "how many of them are in these lines", Shape::UNSIGNED),
    ("lost", "how many of them are not, by reason", Shape::COUNTS),
    ("unattached", "how many files could not be attached to", Shape::UNSIGNED),
];

/// What these records are whoever prints them.
fn common(keys: &[(&'static str, &'static str, Shape)]) -> Vec<Key> {
    keys.iter().map(|&(name, about, shape)| Key { name, about, shapes: vec![shape] }).collect()
}

impl Records {
    /// Rows of these columns that no run prints.
    pub(crate) fn of_listing(kind: &'static str, columns: Vec<Key>) -> Self {
        Self { kind, always: &[], keys: merged(columns) }
    }

    /// Rows of these columns.
    pub(crate) fn of_rows(kind: &'static str, columns: Vec<Key>) -> Self {
        Self { kind, always: &["seq"], keys: merged([common(&[NAME, SEQ]), columns].concat()) }
    }

    /// The first of a run.
    pub(crate) fn start() -> Self {
        let always = &["schema", "seq", "time", "version", "options", "hooks"];
        Self { kind: "start", always, keys: common(START) }
    }

    pub(crate) fn lost() -> Self {
        let always = &["seq", "time", "reason", "count"];
        Self { kind: "lost", always, keys: common(LOST) }
    }

    /// The last of a run, with what a tool adds: keys, and what they mean.
    pub(crate) fn summary(beside: &[(&'static str, &'static str)]) -> Self {
        let beside = beside.iter().map(|&(name, about)| (name, about, Shape::UNSIGNED));
        let beside = beside.collect::<Vec<_>>();
        let always = &["seq", "time", "produced", "delivered", "lost"];
        Self { kind: "summary", always, keys: common(&[SUMMARY, &beside].concat()) }
    }
}

/// Each key once: options may show other columns under a name.
fn merged(keys: Vec<Key>) -> Vec<Key> {
    let mut all = Vec::<Key>::new();
    for key in keys {
        match all.iter_mut().find(|one| one.name == key.name) {
            Some(one) => one.may_be(key.shapes),
            None => all.push(key),
        }
    }
    all
}

/// The JSON Schema of what these tools print.
pub(crate) fn of(tools: &[(&'static str, Vec<Records>)]) -> Vec<u8> {
    let mut out = Vec::new();
    out.push(b'{');
    string(&mut out, "$schema", "https://json-schema.org/draft/2020-12/schema");
    string(&mut out, "title", SCHEMA);
    string(&mut out, "description", ABOUT);
    key(&mut out, "anyOf", "");
    list(&mut out, tools, |out, (tool, _)| {
        out.extend_from_slice(b"\n{");
        string(out, "$ref", &format!("#/$defs/{tool}"));
        out.push(b'}');
    });
    key(&mut out, "$defs", "");
    out.push(b'{');
    for (tool, records) in tools {
        key(&mut out, tool, "");
        out.extend_from_slice(b"{\"anyOf\":");
        list(&mut out, records, |out, records| of_records(out, tool, records));
        out.push(b'}');
    }
    out.extend_from_slice(b"}}\n");
    out
}

const ABOUT: &str = "What ebtools prints with --json, one object a line. A key is there only where there \
                     is a value, and where --fields does not leave it out. Keys may be added; none of them \
                     goes, and none changes its meaning.";

fn of_records(out: &mut Vec<u8>, tool: &str, records: &Records) {
    out.extend_from_slice(b"\n{");
    string(out, "type", "object");
    key(out, "required", "");
    value_into(out, ["type", "tool"].iter().chain(records.always).collect::<Vec<_>>());
    key(out, "properties", "");
    out.push(b'{');
    for (name, constant) in [("type", records.kind), ("tool", tool)] {
        property(out, name, "", |out| string(out, "const", constant));
    }
    for one in &records.keys {
        property(out, one.name, "", |out| {
            of_value(out, &one.shapes);
            string(out, "description", one.about);
        });
        for beside in one.shapes.iter().flat_map(|shape| shape.beside) {
            property(out, one.name, beside.suffix, |out| {
                out.extend_from_slice(beside.schema.as_bytes());
                string(out, "description", &format!("of {}: {}", one.name, beside.about));
            });
        }
    }
    out.extend_from_slice(b"}}");
}

/// No two of them are of one type: a test sees to it.
fn of_value(out: &mut Vec<u8>, shapes: &[Shape]) {
    let names = shapes.iter().map(|shape| shape.name).collect::<Vec<_>>();
    key(out, "type", "");
    match names[..] {
        [name] => value_into(out, name),
        _ => value_into(out, names),
    }
    for also in shapes.iter().map(|shape| shape.also).filter(|also| !also.is_empty()) {
        out.push(b',');
        out.extend_from_slice(also.as_bytes());
    }
}

fn property(out: &mut Vec<u8>, name: &str, suffix: &str, write: impl FnOnce(&mut Vec<u8>)) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'\n');
    value_into(out, format_args!("{name}{suffix}"));
    out.extend_from_slice(b":{");
    write(out);
    out.push(b'}');
}

fn list<T>(out: &mut Vec<u8>, all: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, one) in all.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, one);
    }
    out.push(b']');
}

fn string(out: &mut Vec<u8>, name: &str, content: &str) {
    key(out, name, "");
    value_into(out, content);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::Header;
    use crate::validator::Validator;

    /// Is this, with the key `k`, what values of that kind are?
    pub(crate) fn check(kind: Kind, entries: &str) -> Result<(), String> {
        let key = Key { name: "k", about: "", shapes: vec![kind.shape()] };
        let schema = of(&[("t", vec![Records::of_rows("event", vec![key])])]);
        let validator = Validator::new(&String::from_utf8(schema).unwrap())?;
        let comma = if entries.is_empty() { "" } else { "," };
        validator.check(&format!(r#"{{"type":"event","tool":"t","seq":0{comma}{entries}}}"#))
    }

    #[test]
    fn knows_what_a_value_is_not() {
        for (kind, entries) in [
            (Kind::Uint, r#""k":-1"#),
            (Kind::Uint, r#""k":"1""#),
            (Kind::Text, r#""k":null"#),
            (Kind::Text, r#""k":"","k_known":"cut""#),
            (Kind::Time, r#""k":"now""#),
            (Kind::Args, r#""k":[1]"#),
        ] {
            assert!(check(kind, entries).is_err(), "{entries}");
        }
    }

    #[test]
    fn a_value_may_be_of_two_kinds_and_a_key_in_two_tables() {
        let column = Column::<Header>::word("", "k", 0, "a", |_| crate::output::Value::None);
        let keys =
            [column.or(Kind::Uint), Column::uint("", "k", 0, "b", |_| crate::output::Value::None)];
        let records = Records::of_rows("event", keys.iter().map(Key::from).collect());
        let schema = String::from_utf8(of(&[("t", vec![records])])).unwrap();
        let expected = r#""k":{"type":["string","integer"],"minimum":0,"description":"a"}"#;
        assert!(schema.contains(expected), "{schema}");
    }
}
