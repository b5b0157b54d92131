//! A tool's page, `docs/tools/NAME.md`, as plain text for its help: the paragraphs, each in one line,
//! and the rows of tables, without what the tool printed.

/// The Markdown in those pages is headings, paragraphs, fenced blocks, tables, code and links.
pub(crate) fn plain(page: &str) -> String {
    let mut text = String::new();
    let mut is_fenced = false;
    let mut rows = 0;
    for line in page.lines() {
        if line.starts_with('|') && !is_fenced {
            rows += 1;
            // The first two say what the columns of the source are.
            if rows > 2 {
                text += &row(line);
            }
            continue;
        }
        if rows > 0 {
            rows = 0;
            text.push('\n');
        }
        if line.starts_with("```") {
            is_fenced = !is_fenced;
            // What a sentence announces is left out.
            if text.ends_with(":\n\n") {
                text.truncate(text.len() - ":\n\n".len());
                text += ".\n\n";
            }
        }
        if is_fenced || line.starts_with("```") || line.starts_with("# ") {
            continue;
        }
        match line.strip_prefix("## ") {
            Some(heading) => text += &format!("{heading}:\n"),
            None if line.is_empty() => end_paragraph(&mut text),
            None => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push(' ');
                }
                text += &line.replace('`', "");
            }
        }
    }
    end_paragraph(&mut text);
    text
}

fn row(line: &str) -> String {
    let cells = line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>();
    cells.join(": ").replace('`', "") + "\n"
}

fn end_paragraph(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str("\n\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_lines() {
        let page = "# x: what?\n\n```\n# ebtools x\nROW\n```\n\nOne `-x`\nand more.\n\n## Heading\n\nTwo:\n\n```\nrow\n```\n\n| A | |\n|---|---|\n| `a` | one |\n| `b` | two |\n\nEnd.\n";
        let text = "One -x and more.\n\nHeading:\nTwo.\n\na: one\nb: two\n\nEnd.\n\n";
        assert_eq!(plain(page), text);
    }
}
