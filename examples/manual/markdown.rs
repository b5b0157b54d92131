//! The pages of docs/, whose Markdown is headings, paragraphs, lists, fenced blocks, tables,
//! code and links.

use clap_mangen::roff::{Inline, Roff, bold, roman};

/// As parts of a man page. `heading`: what a `##` becomes there, SH or SS.
pub(crate) fn to_roff(page: &str, heading: &str) -> Roff {
    let mut roff = Roff::new();
    // A paragraph begins by itself after a heading.
    let mut begins = false;
    let mut lines = page.lines().skip_while(|line| line.starts_with("# ")).peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            if !std::mem::take(&mut begins) {
                roff.control("PP", []);
            }
            roff.control("nf", []);
            for line in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                roff.text([roman(line)]);
            }
            roff.control("fi", []);
        } else if let Some(title) = line.strip_prefix("## ") {
            let title = if heading == "SH" { title.to_uppercase() } else { title.to_string() };
            roff.control(heading, [title.as_str()]);
            begins = true;
        } else if line.starts_with('|') {
            begins = false;
            // The heading of a table, and the line under it, say what the columns of the source are.
            let rows = std::iter::from_fn(|| lines.next_if(|line| line.starts_with('|')));
            for row in rows.skip(1) {
                row_to(&mut roff, row);
            }
        } else if !line.is_empty() {
            let mut text = line.to_string();
            while let Some(more) = lines.next_if(|line| is_prose(line)) {
                text = format!("{text} {}", more.trim_start());
            }
            match text.strip_prefix("- ") {
                Some(item) => {
                    begins = false;
                    roff.control("IP", ["\\(bu", "2"]);
                    roff.text(inlines(item));
                }
                None => {
                    if !std::mem::take(&mut begins) {
                        roff.control("PP", []);
                    }
                    roff.text(inlines(&text));
                }
            }
        }
    }
    roff
}

fn is_prose(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(['#', '|', '`']) && !line.starts_with("- ")
        || line.starts_with('`') && !line.starts_with("```")
}

fn row_to(roff: &mut Roff, row: &str) {
    let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
    roff.control("TP", []);
    roff.text([bold(cells.next().unwrap_or_default().replace('`', ""))]);
    roff.text(inlines(&cells.collect::<Vec<_>>().join("; ")));
}

/// Code is bold; of a link the text is left.
fn inlines(text: &str) -> Vec<Inline> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain += before;
        match link.split_once("](").and_then(|(name, to)| Some((name, to.split_once(')')?.1))) {
            Some((name, after)) if !name.contains('[') && !name.contains('`') => {
                plain += name;
                rest = after;
            }
            _ => {
                plain.push('[');
                rest = link;
            }
        }
    }
    plain += rest;
    let parts = plain.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(n, part)| if n % 2 == 1 { bold(part) } else { roman(part) }).collect()
}
