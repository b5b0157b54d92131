//! ELF files that are made by hand, to be read by what must not believe them.

/// Where the code is in the file, and the address that the file gives it.
pub(crate) const CODE_AT: u64 = 0x1000;
pub(crate) const CODE_ADDRESS: u64 = 0x40_1000;
/// Where the part ends that is mapped to be run; behind it is what names it.
pub(crate) const CODE_END: u64 = 0x2000;

/// A symbol: its name, `st_info`, section, address and size.
pub(crate) type Symbol<'a> = (&'a str, u8, u16, u64, u64);

/// A 64-bit file of this machine's byte order with a page of code.
pub(crate) fn elf(symbols: &[Symbol<'_>], code: &[u8]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut table = vec![0; 24];
    for (name, info, section, address, size) in symbols {
        let at = u32::try_from(strings.len()).expect("there are few names");
        table.extend(at.to_ne_bytes());
        table.extend([*info, 0]);
        table.extend(section.to_ne_bytes());
        table.extend([*address, *size].map(u64::to_ne_bytes).concat());
        strings.extend(name.bytes().chain([0]));
    }
    let sections_at = CODE_END;
    let symbols_at = sections_at + 3 * 64;
    let strings_at = symbols_at + table.len() as u64;

    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, order, 1];
    file.resize(16, 0);
    file.extend([3_u16, 62].map(u16::to_ne_bytes).concat());
    file.extend(1_u32.to_ne_bytes());
    file.extend([0, 64, sections_at].map(u64::to_ne_bytes).concat());
    file.extend([0_u16, 0, 64, 56, 1, 64, 3, 0].map(u16::to_ne_bytes).concat());
    // To be read and run, of a page.
    file.extend([1_u32, 5].map(u32::to_ne_bytes).concat());
    let size = CODE_END - CODE_AT;
    file.extend([CODE_AT, CODE_ADDRESS, 0, size, size, 0x1000].map(u64::to_ne_bytes).concat());
    file.resize(CODE_AT as usize, 0);
    file.extend(code);
    file.resize(sections_at as usize, 0);
    let mut section = |kind: u32, at: u64, size: u64, link: u32, entry: u64| {
        file.extend([0, kind].map(u32::to_ne_bytes).concat());
        file.extend([0, 0, at, size].map(u64::to_ne_bytes).concat());
        file.extend([link, 1].map(u32::to_ne_bytes).concat());
        file.extend([8, entry].map(u64::to_ne_bytes).concat());
    };
    section(0, 0, 0, 0, 0);
    section(2, symbols_at, table.len() as u64, 2, 24);
    section(3, strings_at, strings.len() as u64, 0, 0);
    file.extend(table);
    file.extend(strings);
    file
}

/// Where the first section's size of symbols stands in such a file.
pub(crate) const SYMBOLS_SIZE_AT: usize = CODE_END as usize + 64 + 32;
