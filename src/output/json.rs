//! JSON Lines: every line an object with its `type`, typed values, valid whatever bytes came in.

use std::collections::BTreeMap;

use super::entry::{Entry, end, entry, key};
use super::{Clock, Column, Value};
use crate::record::{Header, Record};

/// What stands before the values of a row, the same in all rows of a kind.
#[derive(Debug)]
pub struct Keys {
    head: Vec<u8>,
    keys: Vec<Vec<u8>>,
}

impl Keys {
    /// `kind` is the type of the rows: `event` or `interval`.
    pub fn new<E>(kind: &str, tool: &str, columns: &[&Column<E>]) -> Self {
        let mut head = vec![b'{'];
        entry(&mut head, "type", kind);
        entry(&mut head, "tool", tool);
        let keys = columns.iter().map(|column| {
            let mut out = Vec::new();
            key(&mut out, column.key, "");
            out
        });
        Self { head, keys: keys.collect() }
    }
}

/// Appends the line of one row. `keys` are those of the same columns.
pub fn row<E>(
    out: &mut Vec<u8>,
    keys: &Keys,
    columns: &[&Column<E>],
    clock: &Clock,
    record: &Record<'_, E>,
) {
    out.extend_from_slice(&keys.head);
    for (column, key) in columns.iter().zip(&keys.keys) {
        (column.value)(record).json(&mut Entry { line: out, clock, key, name: column.key });
    }
    end(out);
}

/// Appends the line that tells of events that were lost, as it happens.
pub fn lost(out: &mut Vec<u8>, tool: &str, clock: &Clock, time_ns: u64, reason: &str, count: u64) {
    let columns: [&Column<(&str, u64)>; 3] = [
        &Column::TIME,
        &Column::new("", "reason", 0, "", |r| Value::Text(r.event.0.as_bytes())),
        &Column::new("", "count", 0, "", |r| Value::Uint(r.event.1)),
    ];
    let header = Header::at(time_ns);
    let lost = (reason, count);
    let record = Record::of(&header, &lost);
    row(out, &Keys::new("lost", tool, &columns), &columns, clock, &record);
}

/// Appends the last line: produced = delivered + the sum of lost. `beside` is what a tool adds.
pub fn summary(
    out: &mut Vec<u8>,
    tool: &str,
    produced: u64,
    delivered: u64,
    lost: &BTreeMap<&'static str, u64>,
    beside: &[(&'static str, u64)],
) {
    out.push(b'{');
    entry(out, "type", "summary");
    entry(out, "tool", tool);
    entry(out, "produced", produced);
    entry(out, "delivered", delivered);
    entry(out, "lost", lost);
    for (key, value) in beside {
        entry(out, key, value);
    }
    end(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::values::Args;
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
        let mut line = Vec::new();
        let keys = Keys::new("event", "execsnoop", COLUMNS);
        row(&mut line, &keys, COLUMNS, &Clock::new(0), &record);
        let line = String::from_utf8(line).unwrap();
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
        let mut line = Vec::new();
        let columns = &COLUMNS[5..];
        row(&mut line, &Keys::new("event", "x", columns), columns, &Clock::new(0), &record);
        let line = String::from_utf8(line).unwrap();
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
