//! JSON Lines: every line an object with its `type`, typed values, valid whatever bytes came in.

use std::collections::BTreeMap;
use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::ser::{self, Serialize, SerializeMap};
use serde_json::ser::{Formatter, Serializer};

use super::{Clock, Column, Value, escape};
use crate::decode::{Known, Record};

/// The line of one row. `kind` is its type: `event` or `interval`.
pub fn row<E>(
    kind: &str,
    tool: &str,
    columns: &[&Column<E>],
    clock: Clock,
    record: &Record<'_, E>,
) -> String {
    string(&Row { kind, tool, columns, clock, record }) + "\n"
}

/// The line that tells of events that were lost, as it happens. All words are our own.
pub fn lost(tool: &str, time: &str, reason: &str, count: u64) -> String {
    format!(
        r#"{{"type":"lost","tool":"{tool}","time":"{time}","reason":"{reason}","count":{count}}}"#
    ) + "\n"
}

/// The last line: produced = delivered + the sum of lost.
pub fn summary(
    tool: &str,
    produced: u64,
    delivered: u64,
    lost: &BTreeMap<&'static str, u64>,
) -> String {
    format!(
        r#"{{"type":"summary","tool":"{tool}","produced":{produced},"delivered":{delivered},"lost":{}}}"#,
        string(lost)
    ) + "\n"
}

fn string(object: &impl Serialize) -> String {
    let mut line = Vec::with_capacity(512);
    // Errors come from writers that fail and keys that are no strings: there are none here.
    let _ = object.serialize(&mut Serializer::with_formatter(&mut line, Safe));
    String::from_utf8(line).unwrap_or_default()
}

/// JSON that may be shown on a terminal as it is: the characters that a table escapes are escaped,
/// not only those that JSON forbids.
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(escape::is_hostile) {
            let (safe, from) = rest.split_at(at);
            to.write_all(safe.as_bytes())?;
            let mut chars = from.chars();
            let hostile = chars.next().unwrap_or_default();
            for unit in hostile.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        to.write_all(rest.as_bytes())
    }
}

struct Row<'a, 'r, E> {
    kind: &'a str,
    tool: &'a str,
    columns: &'a [&'a Column<E>],
    clock: Clock,
    record: &'a Record<'r, E>,
}

impl<E> Serialize for Row<'_, '_, E> {
    fn serialize<S: ser::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("type", self.kind)?;
        map.serialize_entry("tool", self.tool)?;
        for column in self.columns {
            match (column.value)(self.record) {
                Value::Time(ns) => map.serialize_entry(column.key, &self.clock.rfc3339(ns))?,
                value if value.is_none() => {}
                value => entry(&mut map, column.key, value)?,
            }
        }
        map.end()
    }
}

/// The value; beside it the exact bytes where they are not UTF-8, and what is missing of it.
fn entry<M: SerializeMap>(map: &mut M, key: &str, value: Value<'_>) -> Result<(), M::Error> {
    map.serialize_entry(key, &value)?;
    let broken = |bytes: &[u8]| std::str::from_utf8(bytes).is_err();
    if let Some(bytes) = value.bytes().filter(|bytes| broken(bytes)) {
        map.serialize_entry(&format!("{key}_base64"), &BASE64.encode(bytes))?;
    }
    match value {
        Value::CutText(_) => map.serialize_entry(&format!("{key}_truncated"), &true)?,
        Value::Path(place) => match place.known() {
            Known::Whole => {}
            Known::Relative => map.serialize_entry(&format!("{key}_known"), "relative")?,
            Known::Cut => map.serialize_entry(&format!("{key}_known"), "cut")?,
            Known::Deleted => map.serialize_entry(&format!("{key}_known"), "deleted")?,
        },
        Value::Args(mut args, more) => {
            if { args }.flatten().any(broken) {
                let encoded = args.by_ref().map(|arg| arg.map(|bytes| BASE64.encode(bytes)));
                let encoded = encoded.collect::<Vec<_>>();
                map.serialize_entry(&format!("{key}_base64"), &encoded)?;
            }
            if more {
                map.serialize_entry(&format!("{key}_truncated"), &true)?;
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Args, Header};
    use proptest::prelude::*;

    const COLUMNS: &[&Column<Header>] = &[
        &Column::TIME,
        &Column::COMM,
        &Column::new("RET", "ret", 3, "", |_| Value::Ret(-13)),
        &Column::new("ERRNO", "errno", 3, "", |_| Value::Errno(-13)),
        &Column::new("MISSING", "missing", 3, "", |_| Value::None),
        &Column::new("ARGS", "args", 0, "", |r| Value::Args(Args::new(r.tail, 2), false)),
    ];

    fn object(comm: &[u8], tail: &[u8]) -> serde_json::Value {
        let mut header = Header::default();
        header.comm[..comm.len()].copy_from_slice(comm);
        let record = Record { header: &header, event: &header, tail, container: "" };
        let line = row("event", "execsnoop", COLUMNS, Clock::new(0), &record);
        assert_eq!(line.matches('\n').count(), 1);
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn has_typed_values() {
        assert_eq!(
            object(b"ls", b"ls\0\0a\"b\0"),
            serde_json::json!({
                "type": "event", "tool": "execsnoop", "time": "1970-01-01T00:00:00.000000000Z",
                "comm": "ls", "ret": -13, "errno": "EACCES", "args": ["ls", null, "a\"b"],
            })
        );
    }

    #[test]
    fn bytes_that_are_no_text_can_be_got_back() {
        let object = object(b"a\xff", b"x\0y\0\xfe\0");
        assert_eq!(object["comm"], "a\u{fffd}");
        assert_eq!(object["comm_base64"], "Yf8=");
        assert_eq!(object["args"], serde_json::json!(["x", null, "\u{fffd}"]));
        assert_eq!(object["args_base64"], serde_json::json!(["eA==", null, "/g=="]));
    }

    #[test]
    fn is_safe_on_a_terminal() {
        let bytes = "\x1b\x7f\u{9b}\u{202e}\u{2028}\u{e0041}é\0".as_bytes();
        let record = Record {
            header: &Header::default(),
            event: &Header::default(),
            tail: bytes,
            container: "",
        };
        let line = row("event", "x", &COLUMNS[5..], Clock::new(0), &record);
        assert!(line.contains(r#"["\u001b\u007f\u009b\u202e\u2028\udb40\udc41é"]"#), "{line}");
    }

    proptest! {
        #[test]
        fn is_valid_whatever_bytes_came_in(comm: [u8; 16], tail: Vec<u8>) {
            let object = object(&comm, &tail);
            prop_assert_eq!(object["tool"].as_str(), Some("execsnoop"));
        }
    }
}
