//! Files in /usr/lib/debug with the symbols of stripped ones. That directory belongs to root, and
//! links lead out of it to nothing.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt as _;

use nix::fcntl::ResolveFlag;

use super::bytes::Bytes;
use super::elf::{Elf, Elsewhere};
use crate::crc32::Crc32;
use crate::system::foreign::{self, ForeignFile};

const DIRECTORY: &str = "/usr/lib/debug";
/// The largest file whose sum is checked; what has a build id needs none.
const SUMMED_MAX: u64 = 256 << 20;

/// Adds the symbols of a file that was stripped of them: by its build id, or by the name that it has
/// for them, which is looked for in the place of the file's own directory.
pub(super) fn add(elf: &mut Elf<ForeignFile>, path: &[u8]) {
    let Some(Elsewhere { build_id, link }) = elf.take_elsewhere() else { return };
    if let Some(file) = build_id.and_then(|id| open(by_build_id(&id))) {
        if elf.add_names(file) {
            return;
        }
    }
    let Some((name, sum)) = link else { return };
    let file = by_link(path, &name).and_then(open);
    if let Some(file) = file.filter(|file| sum_of(file) == Some(sum)) {
        elf.add_names(file);
    }
}

/// `.build-id/12/3456.debug`
fn by_build_id(id: &[u8]) -> OsString {
    let mut path = String::from(".build-id/");
    for (i, byte) in id.iter().enumerate() {
        let slash = if i == 1 { "/" } else { "" };
        let _ = write!(path, "{slash}{byte:02x}");
    }
    (path + ".debug").into()
}

/// `usr/bin/NAME` for /usr/bin/server.
fn by_link(path: &[u8], name: &[u8]) -> Option<OsString> {
    let end = path.iter().rposition(|&byte| byte == b'/')?;
    let dir = path[..end].strip_prefix(b"/").unwrap_or_default();
    let is_name = !name.is_empty() && !name.contains(&b'/') && name != b"..";
    is_name.then(|| OsString::from_vec([dir, b"/", name].concat()))
}

fn open(path: OsString) -> Option<ForeignFile> {
    let path = path.into_vec();
    let path = path.strip_prefix(b"/").unwrap_or(&path);
    foreign::open_below(DIRECTORY, path, ResolveFlag::RESOLVE_BENEATH, &[0])
}

/// The sum that links to symbols have: of the whole file.
fn sum_of(file: &ForeignFile) -> Option<u32> {
    let len = Some(file.metadata().len()).filter(|len| *len <= SUMMED_MAX)?;
    let mut crc = Crc32::new();
    let mut chunk = vec![0; 1 << 16];
    for at in (0..len).step_by(chunk.len()) {
        let chunk = &mut chunk[..usize::try_from(len - at).unwrap_or(usize::MAX).min(1 << 16)];
        file.read_at(at, chunk)?;
        crc = crc.and(chunk);
    }
    Some(crc.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_they_are() {
        assert_eq!(by_build_id(&[0x12, 0x34, 0x5]), ".build-id/12/3405.debug");
        assert_eq!(by_link(b"/usr/bin/server", b"a.debug"), Some("usr/bin/a.debug".into()));
        assert_eq!(by_link(b"/server", b"a.debug"), Some("/a.debug".into()));
        for name in [&b"../a"[..], b"..", b"", b"/etc/passwd"] {
            assert_eq!(by_link(b"/usr/bin/server", name), None);
        }
    }

    #[test]
    fn sums_as_everybody_does() {
        let path = std::env::temp_dir().join(format!("ebtools-sum-{}", std::process::id()));
        std::fs::write(&path, "123456789").unwrap();
        let sum = sum_of(&ForeignFile::open(&path).unwrap());
        std::fs::remove_file(path).unwrap();
        assert_eq!(sum, Some(0xcbf4_3926));
    }
}
