//! Flame graphs.

use std::fs::File;
use std::path::{Path, PathBuf};

use inferno::flamegraph::{self, Options};

use crate::error::{Context as _, Result};

/// The most text that is drawn; what comes after it is left out.
const TEXT_MAX: usize = 64 << 20;

/// A file for a flame graph. It is made before the run, so that a wrong name is told at once.
pub(super) struct Svg(File, PathBuf);

impl Svg {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).doing(format!("writing {}", path.display()))?;
        Ok(Self(file, path.into()))
    }

    pub(super) fn draw(self, lines: impl Iterator<Item = (String, u64)>) -> Result<()> {
        let Self(file, path) = self;
        let mut room = TEXT_MAX;
        let fits = |(line, _): &(String, u64)| {
            room = room.saturating_sub(line.len());
            room > 0
        };
        let lines = lines.take_while(fits).map(|(line, _)| line).collect::<Vec<_>>();
        let mut options = Options::default();
        options.title = "profile".into();
        options.count_name = "samples".into();
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), file)
            .doing(format!("drawing {}", path.display()))
    }
}
