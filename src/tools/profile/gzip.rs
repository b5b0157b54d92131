//! gzip: RFC 1952.

use miniz_oxide::deflate::{CompressionLevel, compress_to_vec};

use crate::crc32::Crc32;

/// Compressed by deflate; neither a name nor a time; from a system that is not said.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    out.extend(compress_to_vec(bytes, CompressionLevel::DefaultLevel as u8));
    out.extend(Crc32::new().and(bytes).sum().to_le_bytes());
    // As much of the length as there is room for.
    out.extend((bytes.len() as u32).to_le_bytes());
    out
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
    }
}
