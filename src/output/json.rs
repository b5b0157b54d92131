//! JSON Lines: every line an object with its `type`, typed values, valid whatever bytes came in.

use std::collections::BTreeMap;

use serde::Serialize;

use super::entry::{Entry, end, key, value_into};
use super::{Clock, Column, Names};
use crate::record::Record;

/// The version of the contract between those who write these lines and those who read them: what a key
/// means. New keys do not change it.
pub const SCHEMA: &str = "ebtools/1";

/// How a line begins that is no row.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Whose line it is.
    pub tool: &'a str,
    /// What its run is called, if not by the tool.
    pub name: Option<&'a str>,
    /// What its keys are called.
    pub names: Names,
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
    seq: Vec<u8>,
    keys: Vec<Vec<u8>>,
    /// What those are called that stand beside them, without what they have behind that.
    beside: Vec<String>,
}

impl Keys {
    /// `kind` is the type of the rows: `event` or `interval`.
    pub fn new<E>(kind: &str, tool: &str, names: Names, columns: &[&Column<E>]) -> Self {
        let (mut head, mut seq, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        begin(&mut head, names, kind, tool);
        names.key(&mut seq, kind, tool, "seq");
        for column in columns {
            let mut out = Vec::new();
            names.key(&mut out, kind, tool, column.key);
            // Two columns may have one name for others: it is that of the first.
            if keys.contains(&out) {
                out.clear();
                key(&mut out, names.prefix(), column.key);
            }
            keys.push(out);
        }
        let beside = columns.iter().map(|column| format!("{}{}", names.prefix(), column.key));
        Self { head, seq, keys, beside: beside.collect() }
    }

    /// The same for a run that is called otherwise than its tool.
    pub(super) fn named(mut self, names: Names, name: &str) -> Self {
        named(&mut self.head, names, name);
        self
    }
}

fn begin(out: &mut Vec<u8>, names: Names, kind: &str, tool: &str) {
    out.push(b'{');
    names.constants(out, kind, tool);
    let schema = (kind == "start").then_some(("schema", SCHEMA));
    for (name, word) in [("type", kind)].into_iter().chain(schema).chain([("tool", tool)]) {
        names.key(out, kind, tool, name);
        value_into(out, word);
    }
}

fn named(out: &mut Vec<u8>, names: Names, name: &str) {
    key(out, names.prefix(), "name");
    value_into(out, name);
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
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
        out.extend_from_slice(&keys.seq);
        number(out, seq);
    }
    for ((column, key), name) in columns.iter().zip(&keys.keys).zip(&keys.beside) {
        (column.value)(record).json(&mut Entry { line: out, clock, key, name });
    }
    end(out);
}

/// A line that is no row, entry by entry.
struct Line<'o> {
    out: &'o mut Vec<u8>,
    kind: &'static str,
    head: &'o Head<'o>,
}

impl<'o> Line<'o> {
    fn begin(out: &'o mut Vec<u8>, kind: &'static str, head: &'o Head<'o>) -> Self {
        begin(out, head.names, kind, head.tool);
        if let Some(name) = head.name {
            named(out, head.names, name);
        }
        let mut line = Self { out, kind, head };
        line.entry("seq", head.seq);
        line
    }

    fn key(&mut self, key: &str) {
        self.head.names.key(self.out, self.kind, self.head.tool, key);
    }

    fn entry(&mut self, key: &str, value: impl Serialize) {
        self.key(key);
        value_into(self.out, value);
    }

    fn time(&mut self) {
        self.key("time");
        self.out.push(b'"');
        self.head.clock.rfc3339_into(self.out, self.head.time_ns);
        self.out.push(b'"');
    }
}

/// Appends the first line of a run: what it is that makes the others.
pub fn start(out: &mut Vec<u8>, head: &Head<'_>, start: &Start) {
    let mut line = Line::begin(out, "start", head);
    line.time();
    line.entry("version", env!("CARGO_PKG_VERSION"));
    for (key, value) in
        [("host", &start.host), ("boot_id", &start.boot_id), ("kernel", &start.kernel)]
    {
        if let Some(value) = value {
            line.entry(key, value);
        }
    }
    line.entry("options", &start.options);
    if !start.command.is_empty() {
        line.entry("command", &start.command);
    }
    line.entry("hooks", &start.hooks);
    end(out);
}

/// Appends the line that tells of events that were lost, as it happens.
pub fn lost(out: &mut Vec<u8>, head: &Head<'_>, reason: &str, count: u64) {
    let mut line = Line::begin(out, "lost", head);
    line.time();
    line.entry("reason", reason);
    line.entry("count", count);
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
    let mut line = Line::begin(out, "summary", head);
    line.time();
    line.entry("produced", produced);
    line.entry("delivered", delivered);
    line.entry("lost", lost);
    for (key, value) in beside {
        line.entry(key, value);
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
        object_of(Names::Ebtools, comm, tail)
    }

    fn object_of(names: Names, comm: &[u8], tail: &[u8]) -> serde_json::Value {
        let mut header = Header::default();
        header.comm[..comm.len()].copy_from_slice(comm);
        let record = Record { tail, ..Record::of(&header, &header) };
        let mut line = Vec::new();
        let keys = Keys::new("event", "execsnoop", names, COLUMNS);
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
    fn has_names_of_others() {
        let time = "1970-01-01T00:00:00.000000000Z";
        assert_eq!(
            object_of(Names::Otel, b"ls", b"ls\0\0\xff\0"),
            serde_json::json!({
                "ebtools.type": "event", "ebtools.tool": "execsnoop", "ebtools.seq": 7,
                "ebtools.time": time, "thread.name": "ls", "ebtools.ret": -13, "error.type": "EACCES",
                "process.command_args": ["ls", null, "\u{fffd}"],
                "ebtools.args_base64": ["bHM=", null, "/w=="],
            })
        );
        assert_eq!(
            object_of(Names::Ecs, b"ls", b"ls\0\0"),
            serde_json::json!({
                "ecs.version": "9.4.0", "event.kind": "event", "event.module": "ebtools",
                "event.dataset": "ebtools.execsnoop", "ebtools.type": "event",
                "ebtools.tool": "execsnoop", "event.sequence": 7, "@timestamp": time,
                "process.thread.name": "ls", "ebtools.ret": -13, "error.code": "EACCES",
                "process.args": ["ls", null],
            })
        );
    }

    /// Two columns that have one name for others.
    #[test]
    fn a_name_is_there_once() {
        let columns: &[&Column<Header>] = &[
            &Column::text("", "full_path", 0, "", |_| Value::Text(b"/a")),
            &Column::text("", "path", 0, "", |_| Value::Text(b"a")),
        ];
        let mut line = Vec::new();
        let keys = Keys::new("event", "opensnoop", Names::Otel, columns);
        let header = Header::default();
        let record = Record::of(&header, &header);
        row(&mut line, &keys, columns, &Clock::new(0), None, &record);
        let line = String::from_utf8(line).unwrap();
        assert!(line.ends_with("\"file.path\":\"/a\",\"ebtools.path\":\"a\"}\n"), "{line}");
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
        let header = Header::default();
        let record = Record { tail: bytes, ..Record::of(&header, &header) };
        let mut line = Vec::new();
        let columns = &COLUMNS[5..];
        let keys = Keys::new("event", "x", Names::Ebtools, columns);
        row(&mut line, &keys, columns, &Clock::new(0), None, &record);
        let line = String::from_utf8(line).unwrap();
        assert!(line.contains(r#"["\u001b\u007f\u009b\u202e\u2028\udb40\udc41é"]"#), "{line}");
    }

    #[test]
    fn begins_with_what_runs() {
        let clock = Clock::new(0);
        let names = Names::Ebtools;
        let head = Head { tool: "hello", name: None, names, seq: 0, clock: &clock, time_ns: 1 };
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
