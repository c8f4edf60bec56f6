//! The format and the version of a kernel.

use serde::Serialize;

use super::bytes::{has_magic, slice, u16_at};
use super::error::Error;
use super::files::FileSystem;

/// The start of a kernel's first message, which uncompressed kernels contain.
const BANNER: &[u8] = b"Linux version ";
/// Characters of the longest version: Linux limits release names to 64.
const MAX_VERSION_BYTES: usize = 64;
/// Bytes of a kernel that are searched.
const MAX_SEARCH_BYTES: usize = 128 << 20;

/// A kernel on the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// The number of its partition.
    pub partition: u32,
    /// The path of the file.
    pub path: String,
    /// `arm64`, `x86`, `gzip`, `efi` or `unknown`.
    pub format: String,
    /// The version in its content, else in its name.
    pub version: Option<String>,
}

/// The kernel at `path`; `None` when there is no such file.
pub(super) fn read(fs: &FileSystem, partition: u32, path: String) -> Result<Option<Kernel>, Error> {
    let Some(start) = fs.start_of(&path, 64 * 1024)? else {
        return Ok(None);
    };
    let format = detect_format(&start);
    let version = match format {
        "x86" => x86_version(&start),
        "gzip" | "efi" => None,
        _ => banner_version(fs, &path)?,
    };
    Ok(Some(Kernel {
        partition,
        version: version.or_else(|| version_in_name(&path)),
        path,
        format: format.to_owned(),
    }))
}

fn detect_format(start: &[u8]) -> &'static str {
    if has_magic(start, 0x38, b"ARM\x64") {
        "arm64"
    } else if has_magic(start, 0x202, b"HdrS") {
        "x86"
    } else if has_magic(start, 0, &[0x1f, 0x8b]) {
        "gzip"
    } else if has_magic(start, 0, b"MZ") {
        "efi"
    } else {
        "unknown"
    }
}

/// The version in an x86 kernel's header.
fn x86_version(start: &[u8]) -> Option<String> {
    leading_version(slice(
        start,
        usize::from(u16_at(start, 0x20e)) + 0x200,
        usize::MAX,
    ))
}

/// The version at the start of `text`.
fn leading_version(text: &[u8]) -> Option<String> {
    let word: Vec<u8> = text
        .iter()
        .copied()
        .take(MAX_VERSION_BYTES)
        .take_while(|b| b.is_ascii_alphanumeric() || b"._-+".contains(b))
        .collect();
    let begins = word.first().is_some_and(u8::is_ascii_digit);
    String::from_utf8(word).ok().filter(|_| begins)
}

/// The version in the banner, which may span two pieces.
fn banner_version(fs: &FileSystem, path: &str) -> Result<Option<String>, Error> {
    let (mut window, mut found, mut searched) = (Vec::new(), None, 0usize);
    fs.copy(path, &mut |piece| {
        window.extend_from_slice(piece);
        searched = searched.saturating_add(piece.len());
        found = window
            .windows(BANNER.len())
            .enumerate()
            .filter(|(_, bytes)| *bytes == BANNER)
            .find_map(|(at, _)| leading_version(slice(&window, at + BANNER.len(), usize::MAX)));
        let keep = window
            .len()
            .saturating_sub(BANNER.len() + MAX_VERSION_BYTES);
        window.drain(..keep);
        Ok(found.is_none() && searched < MAX_SEARCH_BYTES)
    })?;
    Ok(found)
}

/// The version in a file name like those of NixOS: `…-linux-6.12.34-Image`, `vmlinuz-6.1.0-18-arm64`.
fn version_in_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let (_, rest) = ["linux-", "vmlinuz-", "Image-"]
        .iter()
        .find_map(|word| name.rsplit_once(word))?;
    let rest = ["-Image", "-bzImage", "-zImage"]
        .iter()
        .find_map(|end| rest.strip_suffix(end))
        .unwrap_or(rest);
    leading_version(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_found_in_the_name() {
        let of = |path| version_in_name(path).unwrap_or_default();
        assert_eq!(of("/boot/nixos/abc-linux-6.12.34-Image"), "6.12.34");
        assert_eq!(of("/boot/nixos/abc-linux-rpi-6.1.1-Image"), "");
        assert_eq!(of("/boot/vmlinuz-6.1.0-18-arm64"), "6.1.0-18-arm64");
        assert_eq!(of("/boot/kernel8.img"), "");
    }
}
