use object::elf::{SHN_ABS, STB_GLOBAL, STT_OBJECT};
use proptest::prelude::*;

use super::*;
use made::{CODE_ADDRESS, CODE_AT, CODE_END, SYMBOLS_SIZE_AT, elf};

#[path = "../../../../tests/live/made.rs"]
#[allow(clippy::expect_used, unreachable_pub)]
mod made;

const FUNCTION: u8 = STB_GLOBAL << 4 | STT_FUNC;

fn name(elf: &Elf<Vec<u8>>, address: u64) -> Option<String> {
    elf.name_of(address).map(|name| String::from_utf8(name).unwrap())
}

#[test]
fn functions_alone_name_code() {
    let data = STB_GLOBAL << 4 | STT_OBJECT;
    let choice = STB_GLOBAL << 4 | STT_GNU_IFUNC;
    let symbols = [
        ("GLIBC_PRIVATE", data, SHN_ABS, CODE_ADDRESS, 0),
        ("version", FUNCTION, SHN_ABS, CODE_ADDRESS, 0),
        ("needed", FUNCTION, SHN_UNDEF, CODE_ADDRESS, 0),
        ("table", data, 1, CODE_ADDRESS, 0),
        ("elsewhere", FUNCTION, 1, 0x10, 0x1000),
        ("__f", FUNCTION, 1, CODE_ADDRESS + 0x10, 4),
        ("f", FUNCTION, 1, CODE_ADDRESS + 0x10, 4),
        ("chosen", choice, 1, CODE_ADDRESS + 0x20, 0),
    ];
    let elf = Elf::read(elf(&symbols, b"")).unwrap();
    assert_eq!(name(&elf, 0x11), None);
    assert_eq!(name(&elf, CODE_ADDRESS), None);
    assert_eq!(name(&elf, CODE_ADDRESS + 0x13).as_deref(), Some("f"));
    assert_eq!(name(&elf, CODE_ADDRESS + 0x14), None);
    assert_eq!(name(&elf, CODE_ADDRESS + 0x21).as_deref(), Some("chosen"));
}

#[test]
fn offsets_have_addresses_where_code_is() {
    let elf = Elf::read(elf(&[], b"")).unwrap();
    assert_eq!(elf.address_at(CODE_AT - 1), None);
    assert_eq!(elf.address_at(CODE_AT + 5), Some(CODE_ADDRESS + 5));
    assert_eq!(elf.address_at(CODE_END), None);
}

/// Where `size` is written in the place of the table's size: `None`, or what is found then.
fn with_table_of(size: u64, symbol: (&str, u8, u16, u64, u64)) -> Option<String> {
    let mut bytes = elf(&[symbol], b"");
    bytes[SYMBOLS_SIZE_AT..][..8].copy_from_slice(&size.to_ne_bytes());
    name(&Elf::read(bytes).unwrap(), CODE_ADDRESS)
}

#[test]
fn sizes_are_not_believed() {
    let symbol = ("f", FUNCTION, 1, CODE_ADDRESS, 4);
    assert_eq!(with_table_of(48, symbol).as_deref(), Some("f"));
    for size in [49, 1 << 20, 1 << 40, u64::MAX / 2, u64::MAX] {
        // The file ends before, and there is no memory taken for it.
        assert!(matches!(with_table_of(size, symbol).as_deref(), None | Some("f")), "{size}");
    }
}

#[test]
fn reads_real_programs() {
    let file = crate::system::foreign::ForeignFile::open("/proc/self/exe".as_ref()).unwrap();
    let elf = Elf::read(file).unwrap();
    assert!(elf.memory() > 1 << 14 && elf.memory() < 64 << 20, "{}", elf.memory());
    // Where functions begin is said twice, and agrees.
    let begins = elf.functions.table.at(elf.segments[0].address + 0x5000);
    if let Some(symbol) = begins.first() {
        let inside = symbol.address + u64::from(symbol.size) / 2;
        assert_eq!(elf.begin_of(inside), Some(symbol.address));
    }
    let unwinding = elf.unwinding.as_ref().unwrap();
    assert!(unwinding.count > 100);
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(bytes: Vec<u8>, address: u64) {
        if let Some(elf) = Elf::read(bytes) {
            let _ = (elf.name_of(address), elf.begin_of(address), elf.address_at(address));
        }
    }

    #[test]
    fn any_change_can_be_read(
        changes in prop::collection::vec((0..0x2200_usize, prop::array::uniform8(any::<u8>())), 1..20),
        address in CODE_ADDRESS..CODE_ADDRESS + 0x1000,
    ) {
        let mut bytes = elf(&[("f", FUNCTION, 1, CODE_ADDRESS, 0x100)], b"");
        for (at, change) in changes {
            // Most of the page of code is of no interest.
            let at = if at > 0x90 { at.max(0x2000) } else { at };
            let len = bytes.len();
            let room = &mut bytes[at.min(len)..(at + 8).min(len)];
            room.copy_from_slice(&change[..room.len()]);
        }
        if let Some(elf) = Elf::read(bytes) {
            let _ = (elf.name_of(address), elf.begin_of(address), elf.address_at(address));
            prop_assert!(elf.memory() < 1 << 20);
        }
    }
}
