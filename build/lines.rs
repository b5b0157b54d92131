//! The lines of the sources in a BPF object, which the verifier quotes where it refuses a program: a quarter
//! of the object when it is compressed.

use std::ops::Range;

use object::{File, Object as _, ObjectSection as _};

/// Where the header of a section says how long it is.
const HEADER_LEN_AT: usize = 4;
/// Where that of `.BTF` says where its strings are (`struct btf_header`), and that of `.BTF.ext` where its
/// lines are (`struct btf_ext_header`); how many bytes they have comes next.
const PLACE_AT: usize = 16;
const LEN_AT: usize = 20;
/// `struct bpf_line_info`: an instruction, a file, the text of the line, its number.
const LINE_LEN: usize = 16;
const TEXT_AT: usize = 8;
/// What no name of a type has.
const NO_NAME: &[u8] = b"\t(){};=,";

/// Makes them zeros, which take no room; None where they are not where they are looked for.
pub(crate) fn leave_out(object: &mut [u8]) -> Option<()> {
    // An object without programs has none.
    let Some(more) = section(object, ".BTF.ext") else { return Some(()) };
    let types = section(object, ".BTF")?;
    let (strings, lines) = (part(object, types)?, part(object, more)?);
    for text in texts(object.get(lines.clone())?)? {
        let text = object.get_mut(strings.clone())?.get_mut(text..)?;
        let text = text.split_mut(|byte| *byte == 0).next()?;
        // Not one that a type has too.
        if text.iter().any(|byte| NO_NAME.contains(byte)) {
            text.fill(0);
        }
    }
    object.get_mut(lines)?.fill(0);
    object.get_mut(more + LEN_AT..more + LEN_AT + 4)?.fill(0);
    Some(())
}

/// Where a section begins.
fn section(object: &[u8], name: &str) -> Option<usize> {
    let (begin, _) = File::parse(object).ok()?.section_by_name(name)?.file_range()?;
    usize::try_from(begin).ok()
}

/// The strings or lines of a section that begins there.
fn part(object: &[u8], section: usize) -> Option<Range<usize>> {
    let begin = section + number(object, section + HEADER_LEN_AT)?;
    let begin = begin + number(object, section + PLACE_AT)?;
    Some(begin..begin + number(object, section + LEN_AT)?)
}

/// Where the strings of lines are: after the size of a line, for each section its name, how many lines there
/// are, and these.
fn texts(lines: &[u8]) -> Option<Vec<usize>> {
    let (mut at, mut texts) = (4, Vec::new());
    if number(lines, 0)? != LINE_LEN {
        return None;
    }
    while at < lines.len() {
        let many = number(lines, at + 4)?;
        at += 8;
        for line in 0..many {
            texts.push(number(lines, at + line * LINE_LEN + TEXT_AT)?);
        }
        at += many * LINE_LEN;
    }
    Some(texts)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(bytes) as usize)
}
