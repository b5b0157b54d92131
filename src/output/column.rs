//! The table of columns that a tool has.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use crate::bpf::shared::types::collect;
use crate::decode::{self, Addresses, Ancestors, Args, Flags, Place, Record};
use crate::output::hist;

/// One column of the text table, one key of the JSON object, and one name for `--fields`.
#[derive(Debug)]
pub struct Column<E> {
    /// The head of the column.
    pub title: &'static str,
    /// The JSON key.
    pub key: &'static str,
    /// The least width in the text table, in terminal cells.
    pub width: usize,
    /// What it means, for `--fields help`.
    pub about: &'static str,
    /// Whose memory it comes from.
    pub source: Source,
    /// Where it is shown without `--fields`.
    pub shown: Shown,
    /// What the tool's options do with it.
    pub option: Asked,
    /// What the kernel side collects only for this: a bit of `enum collect`.
    pub collect: u32,
    /// Its value in a row.
    pub value: for<'r> fn(&Record<'r, E>) -> Value<'r>,
}

/// Where a column is shown without `--fields`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// In the table and in JSON.
    Always,
    /// In JSON.
    JsonOnly,
    /// Nowhere.
    Nowhere,
}

/// What options do with a column. They are written as a user does: `--by=src`, or `--by` with any
/// value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    /// Nothing.
    Not,
    /// Each of these shows it, where `--fields` does not say what is shown.
    With(&'static [&'static str]),
    /// This one shows it, beside what `--fields` names too.
    Added(&'static str),
    /// The first puts the column with the second for its key in its place.
    Replaced(&'static str, &'static str),
}

/// Whose memory a value comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// The kernel's own data: nobody else can change it.
    Kernel,
    /// Memory of the process: another of its threads may change it while it is read.
    User,
}

/// A value of a row, not yet formatted.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// There is none: `-` in the table, no key in JSON.
    None,
    /// There is one, but it could not be read: `[?]` in the table, null in JSON.
    Unreadable,
    /// `CLOCK_BOOTTIME` in nanoseconds: local time in the table, RFC 3339 in UTC in JSON.
    Time(u64),
    /// A number.
    Uint(u64),
    /// A number that may be negative.
    Int(i64),
    /// An address.
    Hex(u64),
    /// A number with a fraction.
    Float(f64),
    /// A time in nanoseconds; with a unit in the table.
    Duration(u64),
    /// Bits: the names of those that are set.
    Flags(Flags),
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
    /// There was no line, but the end of the input.
    EndOfFile,
    /// A path and where it starts.
    Path(Place<'a>),
    /// Arguments, and whether there were more.
    Args(Args<'a>, bool),
    /// Bytes from outside, so many steps to the right in the table.
    Indented(usize, &'a [u8]),
    /// Counts of a histogram's slots: in JSON those that are not empty, with their limits.
    Histogram(&'a [u32]),
    /// Addresses of hosts.
    Addresses(Addresses<'a>),
    /// Processes from the parent up.
    Ancestors(Ancestors<'a>),
}

impl<E> Column<E> {
    /// A column of the kernel's own data that is always shown.
    pub const fn new(
        title: &'static str,
        key: &'static str,
        width: usize,
        about: &'static str,
        value: for<'r> fn(&Record<'r, E>) -> Value<'r>,
    ) -> Self {
        let (source, shown, option) = (Source::Kernel, Shown::Always, Asked::Not);
        Self { title, key, width, about, source, shown, option, collect: 0, value }
    }

    /// The same column, read from the process's memory.
    #[must_use]
    pub const fn user(mut self) -> Self {
        self.source = Source::User;
        self
    }

    /// The same column, in JSON alone unless an option asks for it.
    #[must_use]
    pub const fn json_only(mut self) -> Self {
        self.shown = Shown::JsonOnly;
        self
    }

    /// The same column, nowhere unless an option asks for it.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.shown = Shown::Nowhere;
        self
    }

    /// The same column, shown with each of these options.
    #[must_use]
    pub const fn with(mut self, options: &'static [&'static str]) -> Self {
        self.option = Asked::With(options);
        self
    }

    /// The same column, which this option adds to whatever is shown: before what has no end.
    #[must_use]
    pub const fn added_by(mut self, option: &'static str) -> Self {
        self.option = Asked::Added(option);
        self
    }

    /// The same column; `option` shows the one with this key instead.
    #[must_use]
    pub const fn replaced_by(mut self, option: &'static str, key: &'static str) -> Self {
        self.option = Asked::Replaced(option, key);
        self
    }

    /// The same column; the kernel side collects it only when it is shown.
    #[must_use]
    pub(crate) const fn collect(mut self, what: collect) -> Self {
        self.collect = what.0;
        self
    }
}

impl<'a> Value<'a> {
    /// Text, if it could be read.
    pub(crate) fn text(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Value::Unreadable, Value::Text)
    }

    /// A path, if its name could be read; an empty name leads nowhere.
    pub(crate) fn path(place: Place<'a>) -> Self {
        match place.name() {
            None => Value::Unreadable,
            Some(b"") => Value::Text(b""),
            Some(_) => Value::Path(place),
        }
    }
}

impl Value<'_> {
    pub(super) fn is_none(&self) -> bool {
        match self {
            Value::None => true,
            Value::Errno(ret) => decode::errno_name(*ret).is_none(),
            _ => false,
        }
    }

    /// The bytes of what is one string; of a path as far as it is known.
    pub(super) fn bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Value::Text(bytes) | Value::CutText(bytes) | Value::Indented(_, bytes) => {
                Some(Cow::Borrowed(bytes))
            }
            Value::Path(place) => Some(place.bytes()),
            _ => None,
        }
    }
}

impl Serialize for Value<'_> {
    /// [`Value::Time`] is the one that JSON writes otherwise: it needs a clock.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::None | Value::Unreadable | Value::EndOfFile => to.serialize_none(),
            Value::Time(number) | Value::Uint(number) | Value::Duration(number) => {
                to.serialize_u64(*number)
            }
            Value::Hex(number) => to.collect_str(&format_args!("{number:#x}")),
            Value::Float(number) => to.serialize_f64((number * 1000.0).round() / 1000.0),
            Value::Ret(number) | Value::Int(number) => to.serialize_i64(*number),
            Value::Flags(flags) => to.collect_seq(flags.names()),
            Value::Bool(flag) => to.serialize_bool(*flag),
            Value::Word(word) => to.serialize_str(word),
            Value::Errno(ret) => to.serialize_some(&decode::errno_name(*ret)),
            Value::Text(_) | Value::CutText(_) | Value::Indented(..) | Value::Path(_) => {
                to.serialize_str(&String::from_utf8_lossy(&self.bytes().unwrap_or_default()))
            }
            Value::Args(args, _) => {
                let mut seq = to.serialize_seq(None)?;
                for arg in *args {
                    seq.serialize_element(&arg.map(String::from_utf8_lossy))?;
                }
                seq.end()
            }
            Value::Histogram(slots) => {
                let used = slots.iter().enumerate().filter(|(_, count)| **count > 0);
                to.collect_seq(used.map(|(slot, &count)| Slot { slot, count }))
            }
            Value::Addresses(addresses) => to.collect_seq(*addresses),
            Value::Ancestors(ancestors) => to.collect_seq(ancestors.map(Ancestor)),
        }
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

/// One process of a chain; a name that is no UTF-8 has U+FFFD.
struct Ancestor<'a>((u32, &'a [u8]));

impl Serialize for Ancestor<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (pid, comm) = self.0;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("pid", &pid)?;
        map.serialize_entry("comm", &String::from_utf8_lossy(comm))?;
        map.end()
    }
}
