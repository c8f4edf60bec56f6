//! A kernel: what kind of file it is, and its version.

use serde::Serialize;

use super::bytes::{slice, stands, u16_at};
use super::error::Error;
use super::files::FileSystem;

/// What every kernel says first; it stands in those that are not compressed.
const BANNER: &[u8] = b"Linux version ";
const LONGEST_VERSION: usize = 64;
/// How much of a kernel is searched.
const SEARCHED: usize = 128 << 20;

/// A kernel on the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// The partition that it is in.
    pub partition: u32,
    /// Where it is.
    pub path: String,
    /// `arm64`, `x86`, `gzip`, `efi` or `unknown`.
    pub format: String,
    /// Its version, from its content, else from its name.
    pub version: Option<String>,
}

/// The kernel at `path`; `None` when there is no such file.
pub(super) fn read(
    fs: &FileSystem,
    (partition, path): (u32, String),
) -> Result<Option<Kernel>, Error> {
    let Some(start) = fs.start_of(&path, 64 * 1024)? else {
        return Ok(None);
    };
    let format = format(&start);
    let version = match format {
        "x86" => x86_version(&start),
        "gzip" | "efi" => None,
        _ => banner(fs, &path)?,
    };
    Ok(Some(Kernel {
        partition,
        version: version.or_else(|| in_name(&path)),
        path,
        format: format.to_owned(),
    }))
}

fn format(start: &[u8]) -> &'static str {
    if stands(start, 0x38, b"ARM\x64") {
        "arm64"
    } else if stands(start, 0x202, b"HdrS") {
        "x86"
    } else if stands(start, 0, &[0x1f, 0x8b]) {
        "gzip"
    } else if stands(start, 0, b"MZ") {
        "efi"
    } else {
        "unknown"
    }
}

/// The version in an x86 kernel's header.
fn x86_version(start: &[u8]) -> Option<String> {
    version(slice(
        start,
        usize::from(u16_at(start, 0x20e)) + 0x200,
        usize::MAX,
    ))
}

/// The word at the start of `text`, when it is a version.
fn version(text: &[u8]) -> Option<String> {
    let word: Vec<u8> = text
        .iter()
        .copied()
        .take(LONGEST_VERSION)
        .take_while(|b| b.is_ascii_alphanumeric() || b"._-+".contains(b))
        .collect();
    let begins = word.first().is_some_and(u8::is_ascii_digit);
    String::from_utf8(word).ok().filter(|_| begins)
}

/// The version in the banner. The end of each piece is searched again with the next one.
fn banner(fs: &FileSystem, path: &str) -> Result<Option<String>, Error> {
    let (mut window, mut found, mut searched) = (Vec::new(), None, 0usize);
    fs.copy(path, &mut |piece| {
        window.extend_from_slice(piece);
        searched = searched.saturating_add(piece.len());
        found = window
            .windows(BANNER.len())
            .enumerate()
            .filter(|(_, bytes)| *bytes == BANNER)
            .find_map(|(at, _)| version(slice(&window, at + BANNER.len(), usize::MAX)));
        let keep = window.len().saturating_sub(BANNER.len() + LONGEST_VERSION);
        window.drain(..keep);
        Ok(found.is_none() && searched < SEARCHED)
    })?;
    Ok(found)
}

/// The version in a name as NixOS gives it: `…-linux-6.12.34-Image`, `vmlinuz-6.1.0-18-arm64`.
fn in_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let (_, rest) = ["linux-", "vmlinuz-", "Image-"]
        .iter()
        .find_map(|word| name.rsplit_once(word))?;
    let rest = ["-Image", "-bzImage", "-zImage"]
        .iter()
        .find_map(|end| rest.strip_suffix(end))
        .unwrap_or(rest);
    version(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_names() {
        let of = |path| in_name(path).unwrap_or_default();
        assert_eq!(of("/boot/nixos/abc-linux-6.12.34-Image"), "6.12.34");
        assert_eq!(of("/boot/nixos/abc-linux-rpi-6.1.1-Image"), "");
        assert_eq!(of("/boot/vmlinuz-6.1.0-18-arm64"), "6.1.0-18-arm64");
        assert_eq!(of("/boot/kernel8.img"), "");
    }
}
