//! Writes what is installed beside the binary, made from its command lines: man pages, and
//! completions for bash, zsh and fish, for `ebtools` and for `TOOL-ebtools`. `make manual` runs it:
//!
//! `manual EBTOOLS DIR`: EBTOOLS is the binary, which explains the fields.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;

mod completions;
mod markdown;
mod pages;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(ebtools), Some(dir)) = (args.next(), args.next()) else {
        return Err("usage: manual EBTOOLS DIR".into());
    };
    write(&ebtools, &dir)
}

pub(crate) fn write(ebtools: &Path, dir: &Path) -> Result<()> {
    pages::write(ebtools, &fresh(dir, "man")?)?;
    completions::bash(&fresh(dir, "bash")?)?;
    completions::zsh(&fresh(dir, "zsh")?)?;
    completions::fish(&fresh(dir, "fish")?)
}

/// The tools: what is hidden among them is none.
pub(crate) fn tools(all: &Command) -> impl Iterator<Item = &Command> {
    all.get_subcommands().filter(|one| !one.is_hide_set())
}

fn fresh(dir: &Path, name: &str) -> Result<PathBuf> {
    let dir = dir.join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    Ok(dir)
}
