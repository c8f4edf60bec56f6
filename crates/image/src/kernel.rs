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

/// The format of a kernel's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelFormat {
    /// A kernel for 64-bit ARM.
    Arm64,
    /// A kernel for x86 PCs.
    X86,
    /// A compressed kernel.
    Gzip,
    /// A UEFI program.
    Efi,
    /// Another one.
    Unknown,
}

impl KernelFormat {
    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86",
            Self::Gzip => "gzip",
            Self::Efi => "efi",
            Self::Unknown => "unknown",
        }
    }
}

/// A kernel on the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// The number of its partition.
    pub partition: u32,
    /// The path of the file.
    pub path: String,
    /// The format.
    pub format: KernelFormat,
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
        KernelFormat::X86 => x86_version(&start),
        KernelFormat::Gzip | KernelFormat::Efi => None,
        KernelFormat::Arm64 | KernelFormat::Unknown => banner_version(fs, &path)?,
    };
    Ok(Some(Kernel {
        partition,
        version: version.or_else(|| version_in_name(&path)),
        path,
        format,
    }))
}

fn detect_format(start: &[u8]) -> KernelFormat {
    if has_magic(start, 0x38, b"ARM\x64") {
        KernelFormat::Arm64
    } else if has_magic(start, 0x202, b"HdrS") {
        KernelFormat::X86
    } else if has_magic(start, 0, &[0x1f, 0x8b]) {
        KernelFormat::Gzip
    } else if has_magic(start, 0, b"MZ") {
        KernelFormat::Efi
    } else {
        KernelFormat::Unknown
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
    let mut search = BannerSearch::default();
    fs.copy(path, &mut |piece| Ok(search.goes_on_after(piece)))?;
    Ok(search.version_at_end())
}

/// The search for the banner in a file that comes in pieces.
#[derive(Debug, Default)]
struct BannerSearch {
    window: Vec<u8>,
    searched: usize,
    found: Option<String>,
}

impl BannerSearch {
    /// Looks at the next piece; whether there is more to look for.
    fn goes_on_after(&mut self, piece: &[u8]) -> bool {
        self.window.extend_from_slice(piece);
        self.searched = self.searched.saturating_add(piece.len());
        // A version that the piece ends in may go on in the next one.
        self.found = self.version(|version, text| version.len() < text.len());
        let needed = BANNER.len() + MAX_VERSION_BYTES;
        self.window
            .drain(..self.window.len().saturating_sub(needed));
        self.found.is_none() && self.searched < MAX_SEARCH_BYTES
    }

    fn version_at_end(self) -> Option<String> {
        self.found.clone().or_else(|| self.version(|_, _| true))
    }

    /// The first version that is `complete`, by it and the text that begins with it.
    fn version(&self, complete: impl Fn(&str, &[u8]) -> bool) -> Option<String> {
        let places = self.window.windows(BANNER.len()).enumerate();
        let mut banners = places.filter(|(_, bytes)| *bytes == BANNER);
        banners.find_map(|(at, _)| {
            let text = slice(&self.window, at + BANNER.len(), usize::MAX);
            leading_version(text).filter(|version| complete(version, text))
        })
    }
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
    fn version_that_spans_two_pieces_is_whole() {
        let file = b"..Linux version 6.12.34-rpi (x) ..Linux version 5.1 ";
        for at in 0..file.len() {
            let (first, second) = file.split_at(at);
            let mut search = BannerSearch::default();
            assert!(!search.goes_on_after(first) || !search.goes_on_after(second));
            let version = search.version_at_end();
            assert_eq!(version.as_deref(), Some("6.12.34-rpi"), "{at}");
        }
        let mut search = BannerSearch::default();
        assert!(search.goes_on_after(b"Linux version 6.12"));
        assert_eq!(search.version_at_end().as_deref(), Some("6.12"));
    }

    #[test]
    fn version_is_found_in_the_name() {
        let of = |path| version_in_name(path).unwrap_or_default();
        assert_eq!(of("/boot/nixos/abc-linux-6.12.34-Image"), "6.12.34");
        assert_eq!(of("/boot/nixos/abc-linux-rpi-6.1.1-Image"), "");
        assert_eq!(of("/boot/vmlinuz-6.1.0-18-arm64"), "6.1.0-18-arm64");
        assert_eq!(of("/boot/kernel8.img"), "");
    }
}
