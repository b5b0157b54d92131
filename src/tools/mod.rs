//! The table of tools: one line each, and the one that is an example last. A tool's kernel side is in
//! `src/bpf/NAME.bpf.c`, its page in `docs/tools/NAME.md`.

use crate::decode::Row as _;
use crate::output::{Clock, Lines, Screen};
use crate::tool::{self, Entry, Named, Tool};

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
            [$(lines::<$module::$tool>(bytes)),*].concat()
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
    opensnoop::Opensnoop;
    probes::Probes;
    profile::Profile;
    querysnoop::Querysnoop;
    readline::Readline;
    syscount::Syscount;
    unlinksnoop::Unlinksnoop;
    xdpfilter::Xdpfilter;
    hello::Hello;
}

/// As a table and as JSON, of each of its tables of columns; the table on a terminal too.
fn lines<T: Tool>(bytes: &[u8]) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    for table in [""].into_iter().chain(T::OTHERS.iter().map(|(option, _)| *option)) {
        let columns = tool::columns::<T>(|option| option == table);
        let table = || Lines::table(&columns);
        let json = Lines::json("event", "fuzz", &columns);
        let kinds = [(json, None), (table(), None), (table(), Some(80)), (table(), Some(40))];
        T::Row::of_any(bytes, &mut |record| {
            for (lines, width) in &kinds {
                let screen = Screen { width: *width, has_colours: false };
                let mut line = Vec::new();
                lines.row(&mut line, &Clock::new(0), screen, record);
                let line = String::from_utf8(line).ok();
                all.extend(line.map(|line| (line, width.unwrap_or(usize::MAX))));
            }
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr as _;

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
