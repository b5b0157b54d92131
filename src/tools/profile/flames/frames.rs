//! What stands in frames, and their colours.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use inferno::flamegraph::color::{Color, PaletteMap};

use super::super::files::Functions;
use crate::escape;
use crate::system::symbols::Function;

/// The most bytes of a name.
const NAME_MAX: usize = 500;

/// What a frame stands for.
#[derive(Clone, Copy)]
enum Kind {
    Kernel,
    Program,
    Other,
}

impl Kind {
    /// inferno takes one off a frame's text before it shows it. With one on each, no name is taken
    /// for one of another kind, and no number at its end for a count.
    fn mark(self) -> &'static str {
        match self {
            Self::Kernel => "_[k]",
            Self::Program => "_[i]",
            Self::Other => "_[w]",
        }
    }

    /// Shades by name, to tell neighbours apart; light, for black text.
    fn color(self, name: &str) -> Color {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let hash = hasher.finish();
        let (shade, tint) = ((hash % 75) as u8, (hash / 75 % 50) as u8);
        let (r, g, b) = match self {
            Self::Kernel => (100 + tint, 155 + shade, 250),
            Self::Program => (250, 140 + shade, 40 + tint),
            Self::Other => (200 + shade / 3, 200 + shade / 3, 200 + shade / 3),
        };
        Color { r, g, b }
    }
}

/// The texts of frames as inferno takes them.
pub(super) struct Frames<'a> {
    functions: &'a dyn Functions,
    colors: PaletteMap,
}

impl<'a> Frames<'a> {
    pub(super) fn new(functions: &'a dyn Functions) -> Self {
        let mut colors = PaletteMap::default();
        // The one below all others.
        colors.insert("", Kind::Other.color(""));
        Self { functions, colors }
    }

    pub(super) fn of_function(&mut self, number: u32) -> String {
        let Function { name, module, is_kernel } = self.functions.function(number);
        let kind = match (is_kernel, module.is_empty()) {
            (true, _) => Kind::Kernel,
            (false, false) => Kind::Program,
            (false, true) => Kind::Other,
        };
        self.text(shown(name), kind)
    }

    pub(super) fn of_thread(&mut self, name: &[u8]) -> String {
        let mut shown = shown(name);
        // At the begin of a line, inferno takes it for no part of it, or of a comment.
        if let Some(first @ (b' ' | b'#')) = name.first() {
            shown.replace_range(..1, &format!("\\x{first:02x}"));
        }
        self.text(shown, Kind::Other)
    }

    /// Of what is none: `[text]`.
    pub(super) fn of_others(&mut self, text: &str) -> String {
        self.text(text.into(), Kind::Other)
    }

    fn text(&mut self, name: String, kind: Kind) -> String {
        let color = kind.color(&name);
        let text = name + kind.mark();
        self.colors.insert(&text, color);
        text
    }

    pub(super) fn colors(&mut self) -> &mut PaletteMap {
        &mut self.colors
    }
}

fn shown(name: &[u8]) -> String {
    escape::text(&name[..name.len().min(NAME_MAX)]).replace(';', ":")
}
