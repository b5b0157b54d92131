//! Where a stripped file's symbols are: its build id, and the name of the file that they were put
//! into.

use object::Endianness;
use object::elf::{PT_NOTE, SHT_PROGBITS};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};

use super::super::bytes::Bytes;

/// The most bytes of a segment of notes, and of a link, that are read.
const BYTES_MAX: usize = 4096;
/// `NT_GNU_BUILD_ID`, of the vendor `GNU`.
const BUILD_ID: (u32, &[u8]) = (3, b"GNU\0");
/// Build ids have 20 bytes as a rule.
const BUILD_ID_LEN: std::ops::RangeInclusive<usize> = 2..=64;
const LINK: &[u8] = b".gnu_debuglink";

#[derive(Debug, Default)]
pub(in super::super) struct Elsewhere {
    pub(in super::super) build_id: Option<Vec<u8>>,
    /// The file's name, and the sum of its bytes.
    pub(in super::super) link: Option<(Vec<u8>, u32)>,
}

impl Elsewhere {
    pub(super) fn read<H: FileHeader<Endian = Endianness>>(
        bytes: &impl Bytes,
        header: &H,
        segments: &[H::ProgramHeader],
        sections: &[H::SectionHeader],
    ) -> Option<Self> {
        let endian = header.endian().ok()?;
        let of_notes = segments.iter().filter(|segment| segment.p_type(endian) == PT_NOTE);
        let mut notes = of_notes.filter_map(|segment| {
            let size = usize::try_from(segment.p_filesz(endian).into()).ok()?.min(BYTES_MAX);
            bytes.array::<u8>(segment.p_offset(endian).into(), size)
        });
        let names = sections.get(usize::from(header.e_shstrndx(endian)));
        let is_link = |section: &&H::SectionHeader| {
            let name = names.and_then(|names| {
                let start = names.sh_offset(endian).into();
                bytes.string(start.checked_add(section.sh_name(endian).into())?, LINK.len() + 1)
            });
            section.sh_type(endian) == SHT_PROGBITS && name.as_deref() == Some(LINK)
        };
        let link = sections.iter().find(is_link).and_then(|section| {
            let size = usize::try_from(section.sh_size(endian).into()).ok()?.min(BYTES_MAX);
            link_in(&bytes.array::<u8>(section.sh_offset(endian).into(), size)?)
        });
        Some(Self { build_id: notes.find_map(|notes| build_id_in(&notes)), link })
    }
}

fn build_id_in(mut notes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let name_len = number(notes, 0)? as usize;
        let len = number(notes, 4)? as usize;
        let kind = number(notes, 8)?;
        let name = notes.get(12..12_usize.checked_add(name_len)?)?;
        let start = 12 + name_len.next_multiple_of(4);
        let content = notes.get(start..start.checked_add(len)?)?;
        if (kind, name) == BUILD_ID && BUILD_ID_LEN.contains(&len) {
            return Some(content.to_vec());
        }
        notes = notes.get(start + len.next_multiple_of(4)..)?;
    }
}

/// The name with its NUL, up to a multiple of four bytes, and the sum.
fn link_in(link: &[u8]) -> Option<(Vec<u8>, u32)> {
    let end = link.iter().position(|&byte| byte == 0)?;
    Some((link[..end].to_vec(), number(link, (end + 1).next_multiple_of(4))?))
}

/// Programs that run here have this machine's byte order.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_build_id() {
        let note = |kind: u32, name: &[u8], content: &[u8]| {
            let lens = [name.len(), content.len()].map(|len| (len as u32).to_ne_bytes()).concat();
            [&lens, &kind.to_ne_bytes()[..], name, content].concat()
        };
        let notes = [note(1, b"GNU\0", b"1234"), note(3, b"GNU\0", b"12345678")].concat();
        assert_eq!(build_id_in(&notes), Some(b"12345678".to_vec()));
        assert_eq!(build_id_in(&notes[..30]), None);
        assert_eq!(build_id_in(&note(3, b"GNU\0", b"")), None);
    }

    #[test]
    fn finds_the_link() {
        let link = [b"a.debug\0", &7_u32.to_ne_bytes()[..]].concat();
        assert_eq!(link_in(&link), Some((b"a.debug".to_vec(), 7)));
        assert_eq!(link_in(&link[..10]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            let _ = (build_id_in(&bytes), link_in(&bytes));
        }
    }
}
