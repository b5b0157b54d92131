//! The table of tools: one line each. A tool's kernel side is in `src/bpf/NAME.bpf.c`.

use crate::decode::Record;
use crate::output::{Clock, Column, Lines};
use crate::tool::Entry;

macro_rules! tools {
    ($($module:ident::$tool:ident $(, $columns:ident)?;)*) => {
        $(mod $module;)*
        /// All tools, in the order that help lists them.
        pub(crate) const TOOLS: &[Entry] = &[$(Entry::of::<$module::$tool>()),*];

        /// Every line that any tool makes of the bytes of a record, for the fuzzer.
        #[doc(hidden)]
        pub fn lines_of(bytes: &[u8]) -> Vec<String> {
            let all = [$($(lines($module::$columns, bytes),)?)*];
            all.into_iter().flatten().flatten().collect()
        }
    };
}

// With COLUMNS, if they are of records.
tools! {
    clonesnoop::Clonesnoop, COLUMNS;
    execsnoop::Execsnoop, COLUMNS;
    funclatency::Funclatency;
    gethostlatency::Gethostlatency, COLUMNS;
    hello::Hello;
    opensnoop::Opensnoop, COLUMNS;
    probes::Probes;
    profile::Profile;
    querysnoop::Querysnoop, COLUMNS;
    readline::Readline, COLUMNS;
    syscount::Syscount;
    unlinksnoop::Unlinksnoop, COLUMNS;
    xdpfilter::Xdpfilter;
}

fn lines<E: plain::Plain>(columns: &[Column<E>], bytes: &[u8]) -> [Option<String>; 2] {
    let columns = columns.iter().collect::<Vec<_>>();
    let Some(record) = Record::new(bytes) else { return [None, None] };
    let (mut in_json, mut in_table) = (Vec::new(), Vec::new());
    Lines::json("event", "fuzz", &columns).row(&mut in_json, &Clock::new(0), &record);
    Lines::table(&columns).row(&mut in_table, &Clock::new(0), &record);
    [in_json, in_table].map(|line| String::from_utf8(line).ok())
}
