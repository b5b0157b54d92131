//! Bytes that are read piece by piece: never mapped, so that nobody who cuts the file off meanwhile
//! can end this process, and never more than was asked for.

use std::io::{Read as _, Seek as _, SeekFrom};

use object::pod::{self, Pod};

use crate::system::foreign::ForeignFile;

/// Something with bytes.
pub(super) trait Bytes {
    /// Fills `to` with the bytes from `at` on; `None` if there are not so many.
    fn read_at(&self, at: u64, to: &mut [u8]) -> Option<()>;

    /// So many values of a type, from `at` on. The caller has limited `count`.
    fn array<T: Pod>(&self, at: u64, count: usize) -> Option<Vec<T>> {
        let zeros = [0_u64; 16];
        let (zero, _) = pod::from_bytes::<T>(pod::bytes_of_slice(&zeros)).ok()?;
        let mut values = vec![*zero; count];
        self.read_at(at, pod::bytes_of_slice_mut(&mut values))?;
        Some(values)
    }

    /// One value of a type.
    fn one<T: Pod>(&self, at: u64) -> Option<T> {
        self.array(at, 1)?.pop()
    }

    /// What is at `at` up to a NUL, or up to `limit`.
    fn string(&self, at: u64, limit: usize) -> Option<Vec<u8>> {
        let mut string = Vec::new();
        // Most names are short.
        for len in [64, usize::MAX] {
            let len = len.min(limit - string.len());
            let mut more = vec![0; len];
            self.read_some(at.checked_add(string.len() as u64)?, &mut more)?;
            let end = more.iter().position(|&byte| byte == 0);
            string.extend_from_slice(&more[..end.unwrap_or(len)]);
            if end.is_some() {
                break;
            }
        }
        Some(string)
    }

    /// The same as `read_at`, but beyond the end are zeros; `None` if `at` is there.
    fn read_some(&self, at: u64, to: &mut [u8]) -> Option<()>;
}

impl Bytes for ForeignFile {
    fn read_at(&self, at: u64, to: &mut [u8]) -> Option<()> {
        let mut reader = self.reader(to.len() as u64);
        reader.seek(SeekFrom::Start(at)).ok()?;
        reader.read_exact(to).ok()
    }

    fn read_some(&self, at: u64, to: &mut [u8]) -> Option<()> {
        let mut reader = self.reader(to.len() as u64);
        reader.seek(SeekFrom::Start(at)).ok()?;
        (reader.read(to).ok()? > 0).then_some(())
    }
}

impl Bytes for Vec<u8> {
    fn read_at(&self, at: u64, to: &mut [u8]) -> Option<()> {
        let from = self.get(usize::try_from(at).ok()?..)?;
        to.copy_from_slice(from.get(..to.len())?);
        Some(())
    }

    fn read_some(&self, at: u64, to: &mut [u8]) -> Option<()> {
        let from = self.get(usize::try_from(at).ok()?..).filter(|from| !from.is_empty())?;
        let len = from.len().min(to.len());
        to[..len].copy_from_slice(&from[..len]);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_strings_to_their_end() {
        let long = "x".repeat(100);
        let bytes = format!("ab\0{long}\0{long}").into_bytes();
        let string = |at, limit| bytes.string(at, limit);
        assert_eq!(string(0, 10), Some(b"ab".to_vec()));
        assert_eq!(string(3, 1000), Some(long.clone().into_bytes()));
        assert_eq!(string(3, 70), Some(long.as_bytes()[..70].to_vec()));
        assert_eq!(string(104, 1000), Some(long.into_bytes()));
        assert_eq!(string(204, 10), None);
        assert_eq!(string(u64::MAX, 10), None);
    }
}
