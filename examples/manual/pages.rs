//! Man pages: what help says, the pages of docs/, and the fields.

use std::fs;
use std::path::Path;
use std::process;

use chrono::{DateTime, Utc};
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Result, markdown, tools};

/// Commands that are no tools, and their pages in docs/.
const OTHERS: [(&str, &str); 2] = [("serve", "serve.md"), ("schema", "json.md")];

pub(crate) fn write(ebtools: &Path, dir: &Path) -> Result<()> {
    let mut all = ebtools::cli::command();
    all.build();
    let date = date()?;
    let others = OTHERS.iter().map(|(name, _)| *name);
    let pages = tools(&all).map(Command::get_name).chain(others);
    let pages = pages.map(|name| format!("ebtools-{name}"));
    let mut page = Page::new(&all, "", &date)?;
    page.tools()?;
    page.text(&document("all-tools.md")?, "SH")?;
    page.see_also(pages)?;
    page.write(dir)?;
    for (name, text) in OTHERS {
        let command = all.find_subcommand(name).ok_or(name)?;
        let mut page = Page::new(command, &document(text)?, &date)?;
        page.see_also(["ebtools".into()])?;
        page.write(dir)?;
    }
    for tool in tools(&all) {
        let text = document(&format!("tools/{}.md", tool.get_name()))?;
        let mut page = Page::new(tool, &text, &date)?;
        page.fields(&fields(ebtools, tool.get_name())?)?;
        page.examples(&tool.get_after_help().map(ToString::to_string).unwrap_or_default())?;
        page.see_also(["ebtools".into()])?;
        page.write(dir)?;
    }
    Ok(())
}

/// The same sources make the same pages, where `SOURCE_DATE_EPOCH` says of when they are.
fn date() -> Result<String> {
    let date = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => DateTime::from_timestamp(seconds.parse()?, 0).ok_or("SOURCE_DATE_EPOCH")?,
        Err(_) => Utc::now(),
    };
    Ok(date.format("%Y-%m-%d").to_string())
}

fn document(name: &str) -> Result<String> {
    Ok(fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name))?)
}

/// What `--fields help` prints.
fn fields(ebtools: &Path, tool: &str) -> Result<String> {
    let output = process::Command::new(ebtools).args([tool, "--fields", "help"]).output()?;
    if !output.status.success() {
        return Err(format!("{} {tool} --fields help failed", ebtools.display()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

struct Page {
    name: String,
    man: Man,
    text: Vec<u8>,
}

impl Page {
    /// With what every page begins with: `description` is a page of docs/.
    fn new(command: &Command, description: &str, date: &str) -> Result<Self> {
        let name = command.get_display_name().unwrap_or(command.get_name()).to_string();
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").to_string();
        let man = Man::new(command.clone().override_usage(usage).subcommand_help_heading("TOOLS"))
            .title(name.to_uppercase())
            .section("8")
            .date(date)
            .source(concat!("ebtools ", env!("CARGO_PKG_VERSION")))
            .manual("System Administration");
        let mut text = Vec::new();
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        markdown::to_roff(description, "SS").to_writer(&mut text)?;
        man.render_options_section(&mut text)?;
        Ok(Self { name, man, text })
    }

    fn write(self, dir: &Path) -> Result<()> {
        let text = String::from_utf8(self.text)?;
        // clap_mangen breaks lines twice before it lists values.
        let text = text.replace(".br\n\n.br\n", ".sp\n");
        let lines = text.lines().map(|line| wrapped(line.trim_end()) + "\n");
        Ok(fs::write(dir.join(format!("{}.8", self.name)), lines.collect::<String>())?)
    }

    fn text(&mut self, document: &str, heading: &str) -> Result<()> {
        Ok(markdown::to_roff(document, heading).to_writer(&mut self.text)?)
    }

    fn tools(&mut self) -> Result<()> {
        Ok(self.man.render_subcommands_section(&mut self.text)?)
    }

    /// Of lines of field, source, meaning; and after them what the sources are.
    fn fields(&mut self, help: &str) -> Result<()> {
        let (table, sources) = help.split_once("\n\n").ok_or("--fields help has another form")?;
        let mut roff = Roff::new();
        roff.control("SH", ["FIELDS"]);
        for line in table.lines().skip(1) {
            let (field, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (source, meaning) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
            roff.control("TP", []);
            roff.text([bold(field), roman(format!(" ({source})"))]);
            roff.text([roman(meaning.trim_start())]);
        }
        for line in sources.lines() {
            roff.control("PP", []);
            roff.text([roman(line)]);
        }
        Ok(roff.to_writer(&mut self.text)?)
    }

    /// Of lines of command and, after more than one blank, what it is for.
    fn examples(&mut self, help: &str) -> Result<()> {
        let mut roff = Roff::new();
        roff.control("SH", ["EXAMPLES"]);
        for line in help.lines().skip(1) {
            let (command, what) = line.trim().rsplit_once("  ").unwrap_or((line, ""));
            roff.control("TP", []);
            roff.text([bold(command.trim_end())]);
            roff.text([roman(what)]);
        }
        Ok(roff.to_writer(&mut self.text)?)
    }

    fn see_also(&mut self, names: impl IntoIterator<Item = String>) -> Result<()> {
        let mut roff = Roff::new();
        roff.control("SH", ["SEE ALSO"]);
        let names = names.into_iter().map(|name| format!("{name}(8)")).collect::<Vec<_>>();
        roff.text([roman(names.join(", "))]);
        Ok(roff.to_writer(&mut self.text)?)
    }
}

/// Text in lines of less than 80 bytes, none of which begins like a request.
fn wrapped(line: &str) -> String {
    if line.starts_with(['.', '\'']) {
        return line.to_string();
    }
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if last.len() + word.len() < 78 => *last += &format!(" {word}"),
            _ if word.starts_with(['.', '\'']) => lines.push(format!("\\&{word}")),
            _ => lines.push(word.to_string()),
        }
    }
    lines.join("\n")
}
