//! The table of tools: one line each. A tool's kernel side is in `src/bpf/NAME.bpf.c`.

use crate::tool::Entry;

macro_rules! tools {
    ($($module:ident::$tool:ident,)*) => {
        $(mod $module;)*
        /// All tools, in the order that help lists them.
        pub(crate) const TOOLS: &[Entry] = &[$(Entry::of::<$module::$tool>()),*];
    };
}

tools! {
    execsnoop::Execsnoop,
    readline::Readline,
    unlinksnoop::Unlinksnoop,
}
