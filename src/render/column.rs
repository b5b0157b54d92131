//! The table of columns that a tool has.

use serde::ser::{Serialize, SerializeSeq as _, Serializer};

use crate::decode::{self, Args, Record};

/// One column of the text table, and one key of the JSON object.
#[derive(Debug)]
pub struct Column<E> {
    /// The head of the column; empty for what only JSON has.
    pub title: &'static str,
    /// The JSON key.
    pub key: &'static str,
    /// The least width in the text table, in terminal cells.
    pub width: usize,
    /// When the text table has it. JSON has every column.
    pub shown: Shown,
    /// Its value in a row.
    pub value: for<'r> fn(&Record<'r, E>) -> Value<'r>,
}

/// When the text table has a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// Always.
    Always,
    /// With `-T`.
    WithTime,
    /// With `-U`.
    WithUid,
    /// Never: in JSON only.
    JsonOnly,
}

/// A value of a row, not yet formatted.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// There is none: `-` in the table, no key in JSON.
    None,
    /// `CLOCK_BOOTTIME` in nanoseconds: local time in the table, RFC 3339 in UTC in JSON.
    Time(u64),
    /// A number.
    Uint(u64),
    /// A number.
    Int(i64),
    /// A flag.
    Bool(bool),
    /// One of the tool's own words.
    Word(&'static str),
    /// A return value: the number, or in the table the name of the error.
    Ret(i64),
    /// The name of the error in a return value; none for a success.
    Errno(i64),
    /// Text from outside: any bytes but NUL.
    Text(&'a [u8]),
    /// Text that was cut: shown with a mark.
    CutText(&'a [u8]),
    /// Arguments, and whether there were more.
    Args(Args<'a>, bool),
}

impl<E> Column<E> {
    /// A column that is always shown.
    pub const fn new(
        title: &'static str,
        key: &'static str,
        width: usize,
        value: for<'r> fn(&Record<'r, E>) -> Value<'r>,
    ) -> Self {
        Self { title, key, width, shown: Shown::Always, value }
    }

    /// A key that JSON alone has.
    pub const fn key(key: &'static str, value: for<'r> fn(&Record<'r, E>) -> Value<'r>) -> Self {
        Self { title: "", key, width: 0, shown: Shown::JsonOnly, value }
    }

    /// The same column, in JSON alone.
    #[must_use]
    pub const fn json_only(self) -> Self {
        self.shown(Shown::JsonOnly)
    }

    /// The same column, shown as `shown` says.
    #[must_use]
    pub const fn shown(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    /// When it happened.
    pub const TIME: Self = Self::new("TIME", "time", 8, |r| Value::Time(r.header.time_ns));
    /// The user.
    pub const UID: Self = Self::new("UID", "uid", 6, |r| Value::Uint(r.header.uid.into()));
    /// The name of the thread.
    pub const COMM: Self =
        Self::new("COMM", "comm", 16, |r| Value::Text(decode::c_str(&r.header.comm)));
    /// The process.
    pub const PID: Self = Self::new("PID", "pid", 7, |r| Value::Uint(r.header.pid.into()));
    /// The thread.
    pub const TID: Self = Self::key("tid", |r| Value::Uint(r.header.tid.into()));
    /// The parent process.
    pub const PPID: Self = Self::new("PPID", "ppid", 7, |r| Value::Uint(r.header.ppid.into()));
}

impl Value<'_> {
    pub(super) fn is_none(&self) -> bool {
        match self {
            Value::None => true,
            Value::Errno(ret) => decode::errno_name(*ret).is_none(),
            _ => false,
        }
    }

    /// Has it bytes that text in JSON cannot carry?
    pub(super) fn needs_bytes(&self) -> bool {
        let broken = |bytes: &[u8]| std::str::from_utf8(bytes).is_err();
        match self {
            Value::Text(bytes) | Value::CutText(bytes) => broken(bytes),
            Value::Args(args, _) => { *args }.flatten().any(broken),
            _ => false,
        }
    }
}

impl Serialize for Value<'_> {
    /// [`Value::Time`] is the one that JSON writes otherwise: it needs a clock.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::None => to.serialize_none(),
            Value::Time(number) | Value::Uint(number) => to.serialize_u64(*number),
            Value::Int(number) | Value::Ret(number) => to.serialize_i64(*number),
            Value::Bool(flag) => to.serialize_bool(*flag),
            Value::Word(word) => to.serialize_str(word),
            Value::Errno(ret) => to.serialize_some(&decode::errno_name(*ret)),
            Value::Text(bytes) | Value::CutText(bytes) => {
                to.serialize_str(&String::from_utf8_lossy(bytes))
            }
            Value::Args(args, _) => {
                let mut seq = to.serialize_seq(None)?;
                for arg in *args {
                    seq.serialize_element(&arg.map(String::from_utf8_lossy))?;
                }
                seq.end()
            }
        }
    }
}
