//! The table of tools: one line each, and the one that is an example last. A tool's kernel side is in
//! `src/bpf/NAME.bpf.c`, its page in `docs/tools/NAME.md`.

use clap::ValueEnum as _;

use crate::output::{Clock, Column, Lines, Screen};
use crate::record::Row;
use crate::run::counts;
use crate::run::options::CountBy;
use crate::tool::{self, Entry, Named, Tool};

mod packets;
mod prelude;

macro_rules! tools {
    ($($module:ident::$tool:ident;)*) => {
        $(
            mod $module;
            impl Named for $module::$tool {
                const NAME: &'static str = stringify!($module);
                const PAGE: &'static str =
                    include_str!(concat!("../../docs/tools/", stringify!($module), ".md"));
            }
        )*
        /// All tools, in the order that help lists them.
        pub(crate) const TOOLS: &[Entry] = &[$(Entry::of::<$module::$tool>()),*];

        /// Every line that any tool makes of what these bytes may be, and how long it may be: for the
        /// fuzzer.
        #[doc(hidden)]
        pub fn lines_of(bytes: &[u8]) -> Vec<(String, usize)> {
            [$(lines::<$module::$tool>(bytes),)* lines_of_counts(bytes)].concat()
        }

        #[cfg(test)]
        fn tables(width: usize) -> String {
            [$(tests::table::<$module::$tool>(width)),*].concat()
        }

        #[test]
        fn columns_are_sound() {
            $(tool::tests::check_columns::<$module::$tool>();)*
        }
    };
}

tools! {
    clonesnoop::Clonesnoop;
    doctor::Doctor;
    execsnoop::Execsnoop;
    funclatency::Funclatency;
    gethostlatency::Gethostlatency;
    guard::Guard;
    opensnoop::Opensnoop;
    probes::Probes;
    profile::Profile;
    querysnoop::Querysnoop;
    readline::Readline;
    syscount::Syscount;
    tcfilter::Tcfilter;
    unlinksnoop::Unlinksnoop;
    xdpfilter::Xdpfilter;
    hello::Hello;
}

/// Of each of its tables of columns.
fn lines<T: Tool>(bytes: &[u8]) -> Vec<(String, usize)> {
    let tables = [""].into_iter().chain(T::OTHERS.iter().map(|(option, _)| *option));
    let lines = |table| lines_of_rows(&tool::columns::<T>(|option| option == table), bytes);
    tables.flat_map(lines).collect()
}

/// Of `--count`.
fn lines_of_counts(bytes: &[u8]) -> Vec<(String, usize)> {
    let lines = |by: &CountBy| lines_of_rows(&counts::columns(*by, &["a"]), bytes);
    CountBy::value_variants().iter().flat_map(lines).collect()
}

/// As a table and as JSON; the table on a terminal too.
fn lines_of_rows<R: Row>(columns: &[&Column<R>], bytes: &[u8]) -> Vec<(String, usize)> {
    let table = || Lines::table(columns);
    let json = Lines::json("event", "fuzz", columns);
    let kinds = [(json, None), (table(), None), (table(), Some(80)), (table(), Some(40))];
    let mut all = Vec::new();
    R::of_any(bytes, &mut |record| {
        for (lines, width) in &kinds {
            let screen = Screen { width: *width, has_colours: false };
            let mut line = Vec::new();
            lines.row(&mut line, &Clock::new(0), screen, Some(0), record);
            let line = String::from_utf8(line).ok();
            all.extend(line.map(|line| (line, width.unwrap_or(usize::MAX))));
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fields;
    use crate::record::Header;
    use crate::system::sys;
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr as _;

    /// A record with long names (of 42 bytes), of a tool whose own part is as large as this one's; other tools find
    /// large numbers in it.
    fn record<T: Tool>() -> Vec<u8> {
        let mut header =
            Header { time_ns: 45_296_000_000_000, pid: 4_194_303, ..Header::default() };
        (header.tid, header.ppid, header.uid) = (4_194_304, 1, 65_534);
        header.comm = *b"worker-\xe4\xb8\x96-12\x1b\0\0";
        header.parent_comm = *b"systemd-journal\0";
        let header = sys::bytes_of(&header).to_vec();
        let own = size_of::<T::Row>().saturating_sub(header.len());
        let names = b"/usr/lib/x86_64-linux-gnu/libLLVM-19.so.1\0--config=/etc/\"a b\"\0".repeat(3);
        [header, [42, 0, 0, 0].repeat(own / 4), names].concat()
    }

    /// The table of a tool on a terminal of that width.
    pub(super) fn table<T: Tool>(width: usize) -> String {
        let columns = tool::columns::<T>(|_| false);
        let columns = fields::choose(&columns, false, &[], |_| false).unwrap();
        let screen = Screen { width: Some(width), has_colours: false };
        let (lines, clock) = (Lines::table(&columns), Clock::new(0).in_utc());
        let mut out = format!("{}\n", T::NAME).into_bytes();
        lines.header(&mut out, screen);
        T::Row::of_any(&record::<T>(), &mut |record| {
            lines.row(&mut out, &clock, screen, None, record);
        });
        String::from_utf8(out).unwrap() + "\n"
    }

    #[test]
    fn rows_at_80_and_40_columns() {
        insta::assert_snapshot!("rows_at_80_columns", tables(80));
        insta::assert_snapshot!("rows_at_40_columns", tables(40));
    }

    proptest! {
        #[test]
        fn lines_are_safe_and_json_is_valid(words in prop::collection::vec(any::<u64>(), 0..80)) {
            let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
            for (line, width) in super::lines_of(&bytes) {
                let line = line.strip_suffix('\n').unwrap();
                prop_assert!(!line.contains(char::is_control), "{line:?}");
                prop_assert!(line.width() <= width, "{line:?}");
                if line.starts_with("{\"type\"") {
                    serde_json::from_str::<serde_json::Value>(line).unwrap();
                }
            }
        }
    }
}
