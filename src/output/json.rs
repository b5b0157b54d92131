//! JSON Lines: every line an object with its `type`, typed values, valid whatever bytes came in.

use std::collections::BTreeMap;

use super::entry::{Entry, end, entry, key};
use super::{Clock, Column};
use crate::record::Record;

/// The version of the contract between those who write these lines and those who read them: what a key
/// means. New keys do not change it.
pub const SCHEMA: &str = "ebtools/1";

/// How a line begins that is no row.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Whose line it is.
    pub tool: &'a str,
    /// Its number in the run.
    pub seq: u64,
    /// What its time is read from.
    pub clock: &'a Clock,
    /// Its time, as the kernel has it.
    pub time_ns: u64,
}

/// What a run begins with.
#[derive(Debug)]
pub struct Start {
    /// When all was attached.
    pub time_ns: u64,
    /// The machine's name.
    pub host: Option<String>,
    /// Tells one boot of the machine from others.
    pub boot_id: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The arguments of the tool.
    pub options: Vec<String>,
    /// The command that it runs; empty without one.
    pub command: Vec<String>,
    /// What is in use to see events.
    pub hooks: Vec<String>,
}

/// What stands before the values of a row, the same in all rows of a kind.
#[derive(Debug)]
pub struct Keys {
    head: Vec<u8>,
    keys: Vec<Vec<u8>>,
}

impl Keys {
    /// `kind` is the type of the rows: `event` or `interval`.
    pub fn new<E>(kind: &str, tool: &str, columns: &[&Column<E>]) -> Self {
        let mut head = Vec::new();
        begin(&mut head, kind, tool);
        let keys = columns.iter().map(|column| {
            let mut out = Vec::new();
            key(&mut out, column.key, "");
            out
        });
        Self { head, keys: keys.collect() }
    }
}

fn begin(out: &mut Vec<u8>, kind: &str, tool: &str) {
    out.push(b'{');
    entry(out, "type", kind);
    entry(out, "tool", tool);
}

/// A reader who misses a number has missed a line.
fn number(out: &mut Vec<u8>, seq: u64) {
    out.extend_from_slice(b",\"seq\":");
    out.extend_from_slice(itoa::Buffer::new().format(seq).as_bytes());
}

/// Appends the line of one row, with its number in the run, if it is in one. `keys` are those of the
/// same columns.
pub fn row<E>(
    out: &mut Vec<u8>,
    keys: &Keys,
    columns: &[&Column<E>],
    clock: &Clock,
    seq: Option<u64>,
    record: &Record<'_, E>,
) {
    out.extend_from_slice(&keys.head);
    if let Some(seq) = seq {
        number(out, seq);
    }
    for (column, key) in columns.iter().zip(&keys.keys) {
        (column.value)(record).json(&mut Entry { line: out, clock, key, name: column.key });
    }
    end(out);
}

/// Appends the first line of a run: what it is that makes the others.
pub fn start(out: &mut Vec<u8>, head: &Head<'_>, start: &Start) {
    out.push(b'{');
    entry(out, "type", "start");
    entry(out, "schema", SCHEMA);
    entry(out, "tool", head.tool);
    number(out, head.seq);
    time(out, head);
    entry(out, "version", env!("CARGO_PKG_VERSION"));
    for (key, value) in
        [("host", &start.host), ("boot_id", &start.boot_id), ("kernel", &start.kernel)]
    {
        if let Some(value) = value {
            entry(out, key, value);
        }
    }
    entry(out, "options", &start.options);
    if !start.command.is_empty() {
        entry(out, "command", &start.command);
    }
    entry(out, "hooks", &start.hooks);
    end(out);
}

fn time(out: &mut Vec<u8>, head: &Head<'_>) {
    key(out, "time", "");
    out.push(b'"');
    head.clock.rfc3339_into(out, head.time_ns);
    out.push(b'"');
}

/// Appends the line that tells of events that were lost, as it happens.
pub fn lost(out: &mut Vec<u8>, head: &Head<'_>, reason: &str, count: u64) {
    begin(out, "lost", head.tool);
    number(out, head.seq);
    time(out, head);
    entry(out, "reason", reason);
    entry(out, "count", count);
    end(out);
}

/// Appends the last line: produced = delivered + the sum of lost. `beside` is what a tool adds.
pub fn summary(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    produced: u64,
    delivered: u64,
    lost: &BTreeMap<&'static str, u64>,
    beside: &[(&'static str, u64)],
) {
    begin(out, "summary", head.tool);
    number(out, head.seq);
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
    use crate::output::Value;
    use crate::output::values::Args;
    use crate::record::Header;
    use proptest::prelude::*;

    const COLUMNS: &[&Column<Header>] = &[
        &Column::TIME,
        &Column::COMM,
        &Column::ret("RET", "ret", 3, "", |_| Value::Ret(-13)),
        &Column::errno("ERRNO", "errno", 3, "", |_| Value::Errno(-13)),
        &Column::text("MISSING", "missing", 3, "", |_| Value::None),
        &Column::args("ARGS", "args", 0, "", |r| Value::Args(Args::new(r.tail, 2), false)),
    ];

    fn object(comm: &[u8], tail: &[u8]) -> serde_json::Value {
        let mut header = Header::default();
        header.comm[..comm.len()].copy_from_slice(comm);
        let record = Record { header: &header, event: &header, tail, container: "" };
        let mut line = Vec::new();
        let keys = Keys::new("event", "execsnoop", COLUMNS);
        row(&mut line, &keys, COLUMNS, &Clock::new(0), Some(7), &record);
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn has_typed_values() {
        assert_eq!(
            object(b"ls", b"ls\0\0a\"b\0"),
            serde_json::json!({
                "type": "event", "tool": "execsnoop", "seq": 7, "time": "1970-01-01T00:00:00.000000000Z",
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
        row(&mut line, &Keys::new("event", "x", columns), columns, &Clock::new(0), None, &record);
        let line = String::from_utf8(line).unwrap();
        assert!(line.contains(r#"["\u001b\u007f\u009b\u202e\u2028\udb40\udc41é"]"#), "{line}");
    }

    #[test]
    fn begins_with_what_runs() {
        let clock = Clock::new(0);
        let head = Head { tool: "hello", seq: 0, clock: &clock, time_ns: 1 };
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut all = Start {
            time_ns: 1,
            host: Some("a".into()),
            boot_id: Some("0-1".into()),
            kernel: Some("6.12.1".into()),
            options: words(&["-n", "\u{1b}[2J"]),
            command: words(&["true"]),
            hooks: words(&["tracepoint task_newtask"]),
        };
        let mut line = Vec::new();
        start(&mut line, &head, &all);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            concat!(
                r#"{"type":"start","schema":"ebtools/1","tool":"hello","seq":0,"#,
                r#""time":"1970-01-01T00:00:00.000000001Z","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#"","host":"a","boot_id":"0-1","kernel":"6.12.1","options":["-n","\u001b[2J"],"#,
                r#""command":["true"],"hooks":["tracepoint task_newtask"]}"#,
                "\n"
            )
        );
        (all.boot_id, all.command) = (None, Vec::new());
        let mut line = Vec::new();
        start(&mut line, &head, &all);
        let line = String::from_utf8(line).unwrap();
        assert!(!line.contains("boot_id") && !line.contains("command"), "{line}");
    }

    proptest! {
        #[test]
        fn is_valid_whatever_bytes_came_in(comm: [u8; 16], tail: Vec<u8>) {
            let object = object(&comm, &tail);
            prop_assert_eq!(object["tool"].as_str(), Some("execsnoop"));
        }
    }
}
