//! gzip: RFC 1952, of stored blocks: what compresses would be larger than what it saves.

use crate::crc32::Crc32;

/// The most bytes of a block: RFC 1951.
const BLOCK: usize = 0xffff;

/// By deflate; neither a name nor a time; from a system that is not said.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    for block in bytes.chunks(BLOCK) {
        store(&mut out, block, false);
    }
    store(&mut out, &[], true);
    out.extend(Crc32::new().and(bytes).sum().to_le_bytes());
    // As much of the length as there is room for.
    out.extend((bytes.len() as u32).to_le_bytes());
    out
}

fn store(out: &mut Vec<u8>, block: &[u8], is_last: bool) {
    let len = block.len() as u16;
    out.push(is_last.into());
    out.extend(len.to_le_bytes());
    out.extend((!len).to_le_bytes());
    out.extend(block);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use miniz_oxide::inflate::decompress_to_vec;
    use proptest::prelude::*;

    pub(crate) fn unpack(bytes: &[u8]) -> Vec<u8> {
        let (rest, len) = bytes.strip_prefix(&HEADER).unwrap().split_last_chunk::<4>().unwrap();
        let (packed, sum) = rest.split_last_chunk::<4>().unwrap();
        let unpacked = decompress_to_vec(packed).unwrap();
        assert_eq!(u32::from_le_bytes(*len) as usize, unpacked.len());
        assert_eq!(u32::from_le_bytes(*sum), Crc32::new().and(&unpacked).sum());
        unpacked
    }

    proptest! {
        #[test]
        fn comes_back(bytes: Vec<u8>) {
            prop_assert_eq!(unpack(&pack(&bytes)), bytes);
        }

        #[test]
        fn several_blocks_come_back(len in 0..4 * BLOCK) {
            let bytes = (0..len).map(|at| at as u8).collect::<Vec<_>>();
            prop_assert_eq!(unpack(&pack(&bytes)), bytes);
        }
    }
}
