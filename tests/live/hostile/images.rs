//! ELF files that are made to do harm: as small on the disk as may be, for what they say they have.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const SHT_PROGBITS: u32 = 1;
const SHT_STRTAB: u32 = 3;
const SHT_DYNAMIC: u32 = 6;
const SHT_NOTE: u32 = 7;
const SHT_DYNSYM: u32 = 11;

const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// Where the tables of the file begin; before that there is code.
const TABLES: u64 = 16 << 10;
/// A byte where code may begin that does nothing, on every architecture a whole instruction.
pub(crate) const CODE: u64 = 4096;

/// A section: its name's place in `NAMES`, its kind, the section it is linked to, its address, the
/// bytes that there are of it, and how many it says it has.
struct Section<'a> {
    name: u32,
    kind: u32,
    link: u32,
    bytes: &'a [u8],
    size: u64,
}

const NAMES: &[u8] = b"\0.note.stapsdt\0.go.buildinfo\0";
const STAPSDT: u32 = 1;
const GO: u32 = 15;

impl<'a> Section<'a> {
    fn new(kind: u32, link: u32, bytes: &'a [u8]) -> Self {
        Self { name: 0, kind, link, bytes, size: bytes.len() as u64 }
    }
}

/// What a file is to have.
#[derive(Default)]
pub(crate) struct Image<'a> {
    /// Functions and the addresses where they are.
    pub(crate) functions: &'a [(&'a str, u64)],
    /// Text that is put behind the functions' names, and symbols whose names begin in it.
    pub(crate) names: &'a [u8],
    pub(crate) symbols: &'a [(u32, u64)],
    /// Entries for the dynamic linker that need the first library in `names`.
    pub(crate) needed: usize,
    /// The notes of USDT probes.
    pub(crate) notes: &'a [u8],
    /// How many sections it says it has, if not those that it has.
    pub(crate) sections: Option<u64>,
    /// It is one of Go's.
    pub(crate) is_go: bool,
}

/// A note of the USDT probe `mysql:query__start`.
pub(crate) fn note(address: u64, semaphore: u64) -> Vec<u8> {
    let mut desc = [address, 0, semaphore].map(u64::to_le_bytes).concat();
    desc.extend(b"mysql\0query__start\0\0");
    let head = [8, u32::try_from(desc.len()).unwrap_or(0), 3].map(u32::to_le_bytes).concat();
    let mut note = [&head[..], b"stapsdt\0", &desc].concat();
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

impl Image<'_> {
    /// The first 16 KiB are code, and are mapped where they are in the file.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut strings = vec![0];
        let mut symbols = vec![0; 24];
        let mut add = |name: u32, address: u64| {
            let head = [&name.to_le_bytes()[..], &[0x12, 0, 1, 0]].concat();
            symbols.extend([head, [address, 1].map(u64::to_le_bytes).concat()].concat());
        };
        for (name, address) in self.functions {
            add(u32::try_from(strings.len()).unwrap_or(0), *address);
            strings.extend(name.as_bytes());
            strings.push(0);
        }
        let names = u32::try_from(strings.len()).unwrap_or(0);
        self.symbols.iter().for_each(|(into, address)| add(names + into, *address));
        strings.extend(self.names);
        let needed = [1, u64::from(names)].map(u64::to_le_bytes).concat().repeat(self.needed);
        let sections = [
            Section { size: self.sections.unwrap_or(0), ..Section::new(0, 0, &[]) },
            Section::new(SHT_STRTAB, 0, NAMES),
            Section::new(SHT_STRTAB, 0, &strings),
            Section::new(SHT_DYNSYM, 2, &symbols),
            Section::new(if self.needed > 0 { SHT_DYNAMIC } else { SHT_PROGBITS }, 2, &needed),
            Section { name: STAPSDT, ..Section::new(SHT_NOTE, 0, self.notes) },
            Section { name: if self.is_go { GO } else { 0 }, ..Section::new(SHT_PROGBITS, 0, &[]) },
        ];
        self.write_sections(&File::create(path)?, &sections)
    }

    fn write_sections(&self, file: &File, sections: &[Section<'_>]) -> io::Result<()> {
        let mut headers = Vec::new();
        let mut at = TABLES + 64 * sections.len() as u64;
        for section in sections {
            let Section { name, kind, link, bytes, size } = section;
            headers.extend([*name, *kind].map(u32::to_le_bytes).concat());
            headers.extend([0, 0, at, *size].map(u64::to_le_bytes).concat());
            headers.extend([*link, 0].map(u32::to_le_bytes).concat());
            headers.extend([4u64, 0].map(u64::to_le_bytes).concat());
            file.write_all_at(bytes, at)?;
            at = (at + bytes.len() as u64).next_multiple_of(8);
        }
        file.write_all_at(&headers, TABLES)?;
        let count = if self.sections.is_some() { 0 } else { sections.len() as u16 };
        let machine = if cfg!(target_arch = "aarch64") { AARCH64 } else { X86_64 };
        let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        head.extend([3u16, machine].map(u16::to_le_bytes).concat());
        head.extend([1u32].map(u32::to_le_bytes).concat());
        head.extend([CODE, 64, TABLES].map(u64::to_le_bytes).concat());
        head.extend(0u32.to_le_bytes());
        head.extend([64u16, 56, 1, 64, count, 1].map(u16::to_le_bytes).concat());
        // One segment, which may be read and run.
        head.extend([1u32, 5].map(u32::to_le_bytes).concat());
        head.extend([0, 0, 0, TABLES, TABLES, 4096].map(u64::to_le_bytes).concat());
        file.write_all_at(&head, 0)?;
        file.write_all_at(&code(), CODE)
    }
}

/// Instructions that do nothing.
pub(crate) fn code() -> Vec<u8> {
    let nop = if cfg!(target_arch = "aarch64") { 0xd503_201f_u32 } else { 0x9090_9090 };
    nop.to_le_bytes().repeat(1024)
}
