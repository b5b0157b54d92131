//! What a column has in a row, not yet formatted. A file for each kind of value has its text and its
//! JSON; the list of all is here.

use std::net::SocketAddr;

use super::cell::Cell;
use super::entry::Entry;
use super::order::Place as Order;
use super::shape::Shape;
use super::{Clock, Column, Screen};
use crate::record::{Record, errno_name};

mod addresses;
mod ancestors;
mod args;
mod boolean;
mod cut_text;
mod duration;
mod end_of_file;
mod endpoint;
mod errno;
mod file;
mod flags;
mod float;
mod hex;
mod histogram;
mod id;
mod indented;
mod int;
mod made;
mod none;
mod path;
mod ret;
pub(super) mod stack;
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

        /// Which of them a column has.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// What it is in JSON.
            pub(crate) const fn shape(self) -> Shape {
                match self {
                    $(Kind::$name => $module::SHAPE,)*
                }
            }
        }

        /// Columns of each kind of value: title, key, width, what it means, and the value. Of kinds
        /// that are alike, it is the one that has all keys that may stand beside: `cut_text` is for
        /// `Text` too.
        impl<E> Column<E> {
            $(
                $(#[$doc])*
                pub const fn $module(
                    title: &'static str,
                    key: &'static str,
                    width: usize,
                    about: &'static str,
                    value: for<'r> fn(&Record<'r, E>) -> Value<'r>,
                ) -> Self {
                    Self::of(Kind::$name, title, key, width, about, value)
                }
            )*
        }

        impl Value<'_> {
            #[cfg(test)]
            fn kind(self) -> Kind {
                match self {
                    $(Value::$name { .. } => Kind::$name,)*
                }
            }

            /// Appends its text for a table.
            pub(super) fn text(self, to: &mut Cell<'_>) {
                match self {
                    $(Value::$name$(($($part),*))? => $module::text(to$($(, $part)*)?),)*
                }
            }

            /// Appends its key and its JSON.
            pub(crate) fn json(self, to: &mut Entry<'_>) {
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
    /// Text that is made of other bytes when it is shown.
    made => Made(make: fn(&[u8]) -> Vec<u8>, bytes: &'a [u8]);
    /// The path of a file, of which a terminal shows the name.
    file => File(path: &'a [u8]);
    /// A number that is long, of which a terminal shows the beginning.
    id => Id(id: &'a str);
    /// There was no line, but the end of the input.
    end_of_file => EndOfFile;
    /// A path and where it starts.
    path => Path(place: Place<'a>);
    /// Arguments, and whether there were more.
    args => Args(args: Args<'a>, more: bool);
    /// Bytes from outside, so many steps to the right in the table.
    indented => Indented(steps: usize, bytes: &'a [u8]);
    /// Calls, the last one first, by their addresses, and what names one; below the row in the table.
    stack => Stack(name: fn(&[u8]) -> Vec<u8>, calls: &'a [u8]);
    /// Counts of a histogram's slots: in JSON those that are not empty, with their limits.
    histogram => Histogram(slots: &'a [u32]);
    /// Addresses of hosts.
    addresses => Addresses(addresses: Addresses<'a>);
    /// An address and a port.
    endpoint => Endpoint(at: SocketAddr);
    /// Processes from the parent up.
    ancestors => Ancestors(ancestors: Ancestors<'a>);
}

impl Value<'_> {
    /// Is there none?
    pub(super) fn is_none(self) -> bool {
        matches!(self, Value::None)
    }

    /// Is it a number that something is wrong with?
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Value::Ret(ret) | Value::Errno(ret) if errno_name(ret).is_some())
    }

    /// What rows are sorted by, where it is by their column.
    pub(super) fn place(self, clock: &Clock) -> Order {
        match self {
            Value::None => Order::Nowhere,
            Value::Uint(number)
            | Value::Hex(number)
            | Value::Duration(number)
            | Value::Time(number) => Order::Number(number.into()),
            Value::Int(number) | Value::Ret(number) => Order::Number(number.into()),
            Value::Float(number) => Order::Fraction(number),
            _ => {
                let (mut text, screen) = (Vec::new(), Screen::default());
                self.text(&mut Cell { text: &mut text, clock, screen });
                Order::Text(String::from_utf8(text).unwrap_or_default())
            }
        }
    }

    /// May a part of it stand for it?
    pub(super) fn is_text(self) -> bool {
        matches!(
            self,
            Value::Text(_)
                | Value::CutText(_)
                | Value::Made(..)
                | Value::File(_)
                | Value::Id(_)
                | Value::Path(_)
                | Value::Args(..)
                | Value::Indented(..)
                | Value::Stack(..)
                | Value::Addresses(_)
                | Value::Endpoint(_)
                | Value::Ancestors(_)
                | Value::Flags(_)
        )
    }
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::*;
    use crate::output::{Clock, Screen, schema};

    const HERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 80);

    fn shown(value: Value<'_>) -> (String, String) {
        let clock = &Clock::new(0).in_utc();
        let (mut text, mut line) = (Vec::new(), Vec::new());
        let screen = Screen::default();
        value.text(&mut Cell { text: &mut text, clock, screen });
        value.json(&mut Entry { line: &mut line, clock, key: b"\"k\":", name: "k" });
        (String::from_utf8(text).unwrap(), String::from_utf8(line).unwrap())
    }

    fn check(values: &[(Value<'_>, &str, &str)]) {
        for (value, text, json) in values {
            assert_eq!(shown(*value), ((*text).into(), (*json).into()), "{value:?}");
            let checked = schema::tests::check(value.kind(), json);
            assert_eq!(checked, Ok(()), "{value:?}");
        }
    }

    #[test]
    fn each_has_its_text_and_its_json() {
        check(&[
            (Value::None, "-", ""),
            (Value::Unreadable, "[?]", r#""k":null"#),
            (Value::Time(5_000_000_007), "00:00:05", r#""k":"1970-01-01T00:00:05.000000007Z""#),
            (Value::Uint(u64::MAX), "18446744073709551615", r#""k":18446744073709551615"#),
            (Value::Int(-7), "-7", r#""k":-7"#),
            (Value::Hex(255), "0xff", r#""k":"0xff""#),
            (Value::Float(0.12345), "0.1", r#""k":0.123"#),
            (Value::Duration(1_500), "1.50us", r#""k":1500"#),
            (Value::Bool(true), "yes", r#""k":true"#),
            (Value::Word("pass"), "pass", r#""k":"pass""#),
            (Value::Ret(-2), "ENOENT", r#""k":-2"#),
            (Value::Ret(3), "3", r#""k":3"#),
            (Value::Errno(-2), "ENOENT", r#""k":"ENOENT""#),
            (Value::Errno(0), "0", ""),
            (Value::Text(b""), "''", r#""k":"""#),
            (Value::Text(b"a\n\"\\"), r#"a\n"\\"#, r#""k":"a\n\"\\""#),
            (Value::Text(b"\xff"), r"\xff", "\"k\":\"\u{fffd}\",\"k_base64\":\"/w==\""),
            (Value::File(b"/a/b"), "/a/b", r#""k":"/a/b""#),
            (Value::Id("0123456789abcdef"), "0123456789abcdef", r#""k":"0123456789abcdef""#),
            (Value::CutText(b"a"), "a[...]", r#""k":"a","k_truncated":true"#),
            (
                Value::Made(<[u8]>::to_ascii_uppercase, b"a\xff"),
                r"A\xff",
                "\"k\":\"A\u{fffd}\",\"k_base64\":\"Qf8=\"",
            ),
            (Value::EndOfFile, "[end of file]", r#""k":null"#),
        ]);
    }

    #[test]
    fn parts_are_in_it() {
        let flags = Flags { first: "R", bits: 9, known: &[("A", 1)] };
        let slots = &[0, 3, 0, 1];
        let (args, bad) = (Args::new(b"a b\0\0", 2), Args::new(b"a\xff\0", 0));
        let place = |state| Place::new(b"b\0a\0", state, b"c\"");
        let address = [&2u32.to_ne_bytes()[..], &[127, 0, 0, 1], &[0; 12]].concat();
        let ancestor = [&7u32.to_ne_bytes()[..], b"ba\x1bsh", &[0; 11]].concat();
        check(&[
            (Value::Flags(flags), "R|A|0x8", r#""k":["R","A","0x8"]"#),
            (Value::Path(place(1)), "/a/b/c\"", r#""k":"/a/b/c\"""#),
            (Value::Path(place(0)), "[?]/c\"", r#""k":"c\"","k_known":"relative""#),
            (Value::Args(args, true), "'a b' [?][...]", r#""k":["a b",null],"k_truncated":true"#),
            (Value::Args(bad, false), r"$'a\xff'", "\"k\":[\"a\u{fffd}\"],\"k_base64\":[\"Yf8=\"]"),
            (Value::Indented(2, b"f"), "    f", r#""k":"f""#),
            (
                Value::Stack(|_| b"f\xff".to_vec(), &[0; 17]),
                r"f\xff<f\xff",
                "\"k\":[\"f\u{fffd}\",\"f\u{fffd}\"]",
            ),
            (Value::Stack(<[u8]>::to_vec, &[]), "", r#""k":[]"#),
            (
                Value::Histogram(slots),
                "2",
                r#""k":[{"from":1,"below":2,"count":3},{"from":3,"below":4,"count":1}]"#,
            ),
            (Value::Addresses(Addresses::new(&address)), "127.0.0.1", r#""k":["127.0.0.1"]"#),
            (Value::Endpoint(HERE), "[::1]:80", r#""k":"[::1]:80""#),
            (
                Value::Ancestors(Ancestors::new(&ancestor)),
                r"ba\x1bsh(7)",
                r#""k":[{"pid":7,"comm":"ba\u001bsh"}]"#,
            ),
        ]);
    }
}
