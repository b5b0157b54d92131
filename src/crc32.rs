//! CRC-32, as gzip and links to symbols have it.

/// The sum of what came so far, and whatever comes after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc32(u32);

impl Crc32 {
    pub(crate) fn new() -> Self {
        Self(u32::MAX)
    }

    #[must_use]
    pub(crate) fn and(self, bytes: &[u8]) -> Self {
        let next =
            |sum: u32, &byte: &u8| SUMS[usize::from(sum.to_le_bytes()[0] ^ byte)] ^ (sum >> 8);
        Self(bytes.iter().fold(self.0, next))
    }

    pub(crate) fn sum(self) -> u32 {
        !self.0
    }
}

const SUMS: [u32; 256] = {
    let mut sums = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        sums[byte] = sum;
        byte += 1;
    }
    sums
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_as_everybody_does() {
        assert_eq!(Crc32::new().and(b"1234").and(b"56789").sum(), 0xcbf4_3926);
    }
}
