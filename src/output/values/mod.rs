//! What a column has in a row, not yet formatted. A file for each kind of value has its text and its
//! JSON; the list of all is here.

use super::cell::Cell;
use super::entry::Entry;

mod addresses;
mod ancestors;
mod args;
mod boolean;
mod cut_text;
mod duration;
mod end_of_file;
mod errno;
mod flags;
mod float;
mod hex;
mod histogram;
mod indented;
mod int;
mod none;
mod path;
mod ret;
mod text;
mod time;
mod uint;
mod unreadable;
mod word;

pub use addresses::Addresses;
pub use ancestors::Ancestors;
pub use args::Args;
pub use duration::duration_into;
pub use flags::Flags;
pub use path::{Known, Place};

macro_rules! values {
    ($($(#[$doc:meta])* $module:ident => $name:ident$(($($part:ident: $type:ty),*))?;)*) => {
        /// A value of a row.
        #[derive(Clone, Copy, Debug)]
        pub enum Value<'a> {
            $($(#[$doc])* $name$(($($type),*))?,)*
        }

        impl Value<'_> {
            /// Appends its text for a table.
            pub(super) fn text(self, to: &mut Cell<'_>) {
                match self {
                    $(Value::$name$(($($part),*))? => $module::text(to$($(, $part)*)?),)*
                }
            }

            /// Appends its key and its JSON.
            pub(super) fn json(self, to: &mut Entry<'_>) {
                match self {
                    $(Value::$name$(($($part),*))? => $module::json(to$($(, $part)*)?),)*
                }
            }
        }
    };
}

values! {
    /// There is none: `-` in the table, no key in JSON.
    none => None;
    /// There is one, but it could not be read: `[?]` in the table, null in JSON.
    unreadable => Unreadable;
    /// `CLOCK_BOOTTIME` in nanoseconds: local time in the table, RFC 3339 in UTC in JSON.
    time => Time(ns: u64);
    /// A number.
    uint => Uint(number: u64);
    /// A number that may be negative.
    int => Int(number: i64);
    /// An address.
    hex => Hex(number: u64);
    /// A number with a fraction.
    float => Float(number: f64);
    /// A time in nanoseconds; with a unit in the table.
    duration => Duration(ns: u64);
    /// Bits: the names of those that are set.
    flags => Flags(flags: Flags);
    /// A flag.
    boolean => Bool(is_so: bool);
    /// One of the tool's own words.
    word => Word(word: &'static str);
    /// A return value: the number, or in the table the name of the error.
    ret => Ret(ret: i64);
    /// The name of the error in a return value; none for a success.
    errno => Errno(ret: i64);
    /// Text from outside: any bytes but NUL.
    text => Text(bytes: &'a [u8]);
    /// Text that was cut: shown with a mark.
    cut_text => CutText(bytes: &'a [u8]);
    /// There was no line, but the end of the input.
    end_of_file => EndOfFile;
    /// A path and where it starts.
    path => Path(place: Place<'a>);
    /// Arguments, and whether there were more.
    args => Args(args: Args<'a>, more: bool);
    /// Bytes from outside, so many steps to the right in the table.
    indented => Indented(steps: usize, bytes: &'a [u8]);
    /// Counts of a histogram's slots: in JSON those that are not empty, with their limits.
    histogram => Histogram(slots: &'a [u32]);
    /// Addresses of hosts.
    addresses => Addresses(addresses: Addresses<'a>);
    /// Processes from the parent up.
    ancestors => Ancestors(ancestors: Ancestors<'a>);
}

impl<'a> Value<'a> {
    /// Text, if it could be read.
    pub(crate) fn readable(bytes: Option<&'a [u8]>) -> Self {
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
