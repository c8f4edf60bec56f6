//! The format of public SSH keys (RFC 4253, section 6.6).
//!
//! Considered: ssh-key, whose newest release is a release candidate (0.7.0-rc.11); all that is needed here
//! is whether a key is complete.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

use super::hash::Sha256Hash;

mod key_options;

/// Key types that current OpenSSH servers accept, the preferred ones first.
pub const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// What to do about a file of a public key that cannot be read.
pub const UNREADABLE_KEY_HINT: &str =
    "`ls -l ~/.ssh/*.pub` lists your public keys, `ssh-keygen -t ed25519` makes one";

/// Whether `key`, in Base64, is a complete key of type `key_type`: its blob consists of fields that each begin with their length
/// (RFC 4251, section 5), of which the first is the name of the type, and more follow.
pub fn is_complete(key_type: &str, key: &str) -> bool {
    let blob = BASE64_STANDARD.decode(key).unwrap_or_default();
    let fields = fields(&blob);
    fields.is_some_and(|fields| fields.len() > 1 && fields.first() == Some(&key_type.as_bytes()))
}

/// The fields of `blob`; `None` if the last one is cut short.
fn fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field);
        blob = rest;
    }
    Some(fields)
}

/// The fingerprint of a public key in Base64, as OpenSSH shows it: `SHA256:…`. Empty for what is not Base64.
pub fn fingerprint(key: &str) -> String {
    let bytes = BASE64_STANDARD.decode(key);
    let digest = bytes.map(|bytes| <[u8; 32]>::from(Sha256Hash::of(&bytes)));
    digest.map_or_else(
        |_| String::new(),
        |digest| format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest)),
    )
}

/// Whether `text` is a private key in PEM, as ssh-keygen writes it.
pub fn is_private(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
}

/// Whether the private key `text` is encrypted with a passphrase.
pub fn has_passphrase(text: &str) -> bool {
    // Formats before OpenSSH's own say it in a header, PKCS #8 in the first line.
    if text.contains("ENCRYPTED") {
        return true;
    }
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let blob = BASE64_STANDARD.decode(lines.collect::<String>());
    // After the magic comes the name of the cipher, with its length in front (PROTOCOL.key of OpenSSH).
    blob.is_ok_and(|blob| {
        let cipher = blob.strip_prefix(b"openssh-key-v1\0");
        cipher.is_some_and(|cipher| !cipher.starts_with(b"\0\0\0\x04none"))
    })
}

/// Whether the file `given` is a key in its place: a type of keys, a space, and the beginning of each key in Base64.
pub fn is_in_place_of_file(given: &Path) -> bool {
    let text = given.to_string_lossy();
    let mut types = KEY_TYPES.iter();
    types.any(|kind| text.contains(&format!("{kind} AAAA"))) && !given.exists()
}

/// Whether a line of `text`, as in `authorized_keys`, is one with which an SSH server lets somebody in: a complete key, and
/// before it nothing but options.
pub fn contains_key(text: &str) -> bool {
    key_of(text).is_some()
}

/// The first complete key in `text`, as in `authorized_keys`: in Base64, without its type, options and comment.
pub fn key_of(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let line = line.trim_start_matches(key_options::is_blank);
        key_at_start(line).or_else(|| {
            let (options, rest) = key_options::split(line)?;
            let key = key_at_start(rest)?;
            key_options::are_known(options).then_some(key)
        })
    })
}

/// What precedes the complete key in `line`, whether an SSH server knows it or not.
pub fn text_before_key(line: &str) -> Option<&str> {
    let blanks = line.match_indices(key_options::is_blank);
    let mut parts = blanks.filter_map(|(at, _)| line.split_at_checked(at));
    let found = parts
        .find(|(_, rest)| key_at_start(rest.trim_start_matches(key_options::is_blank)).is_some());
    found.map(|(before, _)| before.trim())
}

/// The complete key at the start of `text`, behind its type.
fn key_at_start(text: &str) -> Option<&str> {
    let mut words = text
        .split(key_options::is_blank)
        .filter(|word| !word.is_empty());
    let (key_type, key) = (words.next()?, words.next()?);
    let is_one = text.starts_with(key_type) && KEY_TYPES.contains(&key_type);
    (is_one && is_complete(key_type, key)).then_some(key)
}

/// The type that the key `key`, in Base64, has in itself, if SSH servers accept it; also of a key that is cut short.
pub fn type_in(key: &str) -> Option<&'static str> {
    // Whole groups of four characters, of which each is three bytes.
    let whole = key.len() / 4 * 4;
    let blob = BASE64_STANDARD.decode(key.get(..whole)?).ok()?;
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let name = rest.get(..length)?;
    KEY_TYPES.into_iter().find(|known| known.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::{contains_key, fingerprint, text_before_key, type_in};

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    #[test]
    fn finds_keys_after_options_but_no_placeholders() {
        assert!(contains_key(ED));
        assert!(contains_key(&format!(
            "from=\"10.0.0.1\",no-pty {ED} me@here"
        )));
        assert!(contains_key(&format!("# mine\n  {ED}\r\n")));
        for none in [
            "",
            "ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY",
            "~/.ssh/id_ed25519.pub",
            "ssh-ed25519",
            // Text that is no option of the SSH server.
            &format!("ssh-ed25519 {ED}"),
            &format!("~/.ssh/id_ed25519.pub {ED}"),
            &format!("no-ptty {ED}"),
            &format!("# {ED}"),
            &ED.replace(' ', "\u{a0}"),
            &ED.replace("ssh-ed25519", "ssh-rsa"),
            // Cut short, and still Base64.
            ED.split_at(ED.len() - 4).0,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        ] {
            assert!(!contains_key(none), "{none}");
        }
    }

    #[test]
    fn a_key_names_its_type_itself() {
        let (_, key) = ED.split_once(' ').unwrap();
        assert_eq!(type_in(key), Some("ssh-ed25519"));
        assert_eq!(type_in(key.split_at(30).0), Some("ssh-ed25519"));
        for none in ["", "AAAA", "REPLACE-ME", "ssh-ed25519", "ääää"] {
            assert_eq!(type_in(none), None, "{none}");
        }
        assert_eq!(text_before_key(&format!("a b {ED} c")), Some("a b"));
        assert_eq!(text_before_key("a b"), None);
    }

    /// The fingerprint is that of `ssh-keygen -l`.
    #[test]
    fn fingerprints_are_those_of_openssh() {
        let (_, key) = ED.split_once(' ').unwrap();
        assert_eq!(
            fingerprint(key),
            "SHA256:Dxh+NEyn8+MZCcNPVI/K0FHc0ZI22ChXmJTyGUGoz2Q"
        );
        assert_eq!(fingerprint("?"), "");
    }
}
