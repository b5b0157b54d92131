//! What rows of a table are shown on: how wide it is, and whether it has colours.

use std::env;

use anstyle::{AnsiColor, Style};

/// What rows of a table are shown on. The default is no screen: lines have no limit, and no colours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Screen {
    /// Terminal cells in a line.
    pub width: Option<usize>,
    /// Whether colours are to be used.
    pub has_colours: bool,
}

/// The names of the columns.
pub(super) const HEADER: Style = Style::new().bold();
/// What failed.
pub(super) const FAILURE: Style = AnsiColor::Red.on_default();
/// Something is missing.
pub(crate) const LOSS: Style = AnsiColor::Yellow.on_default();

/// Does a terminal of this kind obey escape sequences?
pub(crate) fn obeys() -> bool {
    env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

impl Screen {
    /// The same with lines of that width.
    pub(crate) fn of_width(self, width: usize) -> Self {
        Self { width: Some(width), ..self }
    }

    /// Appends what `write` does, in this style if there are colours.
    pub(crate) fn styled(self, out: &mut Vec<u8>, style: Style, write: impl FnOnce(&mut Vec<u8>)) {
        let is_styled = self.has_colours && style != Style::new();
        if is_styled {
            out.extend_from_slice(style.render().to_string().as_bytes());
        }
        write(out);
        if is_styled {
            out.extend_from_slice(style.render_reset().to_string().as_bytes());
        }
    }
}
