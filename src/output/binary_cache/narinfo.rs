//! The description of a store path in a binary cache, in Nix's format. Untrusted: it comes out of a container, or lies in a
//! directory of the user's. Only what sdbuild itself exports is accepted; the crates `narinfo` (18 crates with it) and
//! `nix-narinfo` (55) read what any cache has.

use sdbuild_core::hash::Sha256Hash;

/// The characters of Nix's base 32.
const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
/// Characters of a hash in the name of a store path.
const PATH_HASH: usize = 32;
/// Characters of SHA-256 in base 32.
const FILE_HASH: usize = 52;
/// How the files are compressed, as the end of their names.
const NAR: &str = ".nar.zst";

/// What is used of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NarInfo {
    /// The hash in the store path.
    pub(super) hash: String,
    /// The path of the file with the content, relative to the cache.
    pub(super) file: String,
    /// The length of that file in bytes.
    pub(super) file_size: u64,
    /// The names of the keys that signed it.
    signers: Vec<String>,
}

impl NarInfo {
    /// Reads the description `text`; what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err("it has control characters".to_owned());
        }
        let lines = text.lines().map(|line| line.split_once(": "));
        let fields: Option<Vec<(&str, &str)>> = lines.collect();
        let fields = fields.ok_or("a line is not a field")?;
        let field = |name: &str| {
            let mut found = fields.iter().filter(|(key, _)| *key == name);
            match (found.next(), found.next()) {
                (Some((_, value)), None) => Ok(*value),
                _ => Err(format!("it does not have exactly one {name}")),
            }
        };
        let path = field("StorePath")?;
        let name = path
            .strip_prefix("/nix/store/")
            .filter(|name| is_name(name));
        let name = name.ok_or_else(|| format!("{path} is not a store path"))?;
        let mut references = field("References")?.split_whitespace();
        if let Some(other) = references.find(|name| !is_name(name)) {
            return Err(format!("it refers to {other}"));
        }
        let file = field("URL")?;
        if !is_nar(file) || field("Compression")? != "zstd" {
            return Err(format!("its file {file} is not one that sdbuild exports"));
        }
        let size = |name: &str| {
            let size = field(name)?.parse().ok().filter(|size| *size > 0);
            size.ok_or_else(|| format!("its {name} is not a size"))
        };
        size("NarSize")?;
        if field("FileHash")? != file_hash(file) {
            return Err("its file has the name of another one".to_owned());
        }
        let signers = fields.iter().filter(|(key, _)| *key == "Sig");
        let signers = signers.filter_map(|(_, value)| value.split_once(':'));
        Ok(Self {
            hash: name.chars().take(PATH_HASH).collect(),
            file: file.to_owned(),
            file_size: size("FileSize")?,
            signers: signers.map(|(name, _)| name.to_owned()).collect(),
        })
    }

    /// Whether the key with this name signed it.
    pub(super) fn is_signed_by(&self, key: &str) -> bool {
        self.signers.iter().any(|signer| signer == key)
    }
}

/// Whether `path` is that of a file with content: `nar/HASH.nar.zst`.
pub(super) fn is_nar(path: &str) -> bool {
    let hash = path
        .strip_prefix("nar/")
        .and_then(|name| name.strip_suffix(NAR));
    hash.is_some_and(|hash| is_base_32(hash, FILE_HASH))
}

/// The hash of the store path that the file `name` describes: `HASH.narinfo`.
pub(super) fn described(name: &str) -> Option<&str> {
    let hash = name.strip_suffix(".narinfo")?;
    is_base_32(hash, PATH_HASH).then_some(hash)
}

/// The hash that is the name of the file at `path`, with its kind.
fn file_hash(path: &str) -> String {
    let name = path.trim_start_matches("nar/").trim_end_matches(NAR);
    format!("sha256:{name}")
}

/// The path of a file with content whose hash is `hash`.
pub(super) fn nar_with(hash: Sha256Hash) -> String {
    let bytes: [u8; 32] = hash.into();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let digit = |number: usize| {
        let (at, shift) = (number * 5 / 8, number * 5 % 8);
        let bits = u16::from_le_bytes([byte(at), byte(at + 1)]) >> shift & 31;
        ALPHABET
            .get(usize::from(bits))
            .copied()
            .map_or('0', char::from)
    };
    let name: String = (0..FILE_HASH).rev().map(digit).collect();
    format!("nar/{name}{NAR}")
}

/// Whether `name` is that of a store path: a hash, a dash, a name of at most 211 characters.
fn is_name(name: &str) -> bool {
    let is_name_char = |b: u8| b.is_ascii_alphanumeric() || b"+._?=-".contains(&b);
    name.split_once('-').is_some_and(|(hash, rest)| {
        is_base_32(hash, PATH_HASH)
            && (1..=211).contains(&rest.len())
            && rest.bytes().all(is_name_char)
    })
}

fn is_base_32(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// The description of a store path with the content `content`, signed by `key`.
#[cfg(test)]
pub(super) fn describing(hash: &str, content: &[u8], key: &str) -> String {
    let file = nar_with(Sha256Hash::of(content));
    format!(
        "StorePath: /nix/store/{hash}-a\nURL: {file}\nCompression: zstd\nFileHash: {}\nFileSize: {}\n\
         NarHash: sha256:0\nNarSize: 8\nReferences: \nDeriver: x.drv\nSig: {key}:AAAA\n",
        file_hash(&file),
        content.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_written_as_nix_does() {
        // `nix hash convert --hash-algo sha256 --to nix32` of the hash of nothing.
        let empty = "nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.zst";
        assert_eq!(nar_with(Sha256Hash::of(b"")), empty);
        assert!(is_nar(empty));
    }

    #[test]
    fn descriptions_that_lead_elsewhere_are_refused() {
        let good = describing(&"a".repeat(32), b"content", "k-1");
        let info = NarInfo::parse(&good).unwrap();
        assert_eq!(
            (info.file_size, info.hash.as_str()),
            (7, "a".repeat(32).as_str())
        );
        assert!(info.is_signed_by("k-1") && !info.is_signed_by("k"));
        for (from, to) in [
            ("/nix/store/", "/nix/"),
            ("URL: nar/", "URL: ../nar/"),
            ("URL: ", "URL: nar/../"),
            ("URL: ", "URL: http://evil/"),
            ("URL: ", "Other: "),
            ("zstd\n", "none\n"),
            ("References: ", "References: ../../etc"),
            ("FileSize: 7", "FileSize: -7"),
            ("NarSize: 8", "NarSize: 8\nNarSize: 9"),
            ("FileHash: sha256:", "FileHash: sha256:0"),
            ("Sig: ", "Sig\u{1b}: "),
            ("Deriver", "\n"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert!(NarInfo::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_names_of_a_cache_are_names() {
        let hash = "b".repeat(32);
        assert_eq!(described(&format!("{hash}.narinfo")), Some(hash.as_str()));
        for bad in [
            "../x.narinfo",
            "b.narinfo",
            &hash,
            &format!("{}.narinfo", "e".repeat(32)),
        ] {
            assert_eq!(described(bad), None);
        }
        for bad in ["nar/x.nar.zst", "nar/../../etc/passwd", "/nar"] {
            assert!(!is_nar(bad));
        }
    }
}
