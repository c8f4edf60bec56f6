//! The format of public SSH keys (RFC 4253, section 6.6).
//!
//! Considered: ssh-key, whose newest release is a release candidate (0.7.0-rc.11); all that is needed here
//! is whether a key is complete.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

use super::hash::Sha256Hash;

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

/// Whether a line of `authorized_keys` contains a complete key; options may precede it.
pub fn contains_key(line: &str) -> bool {
    key_of(line).is_some()
}

/// The complete key in a line of `authorized_keys`, in Base64, without its type, options and comment.
pub fn key_of(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if let Some(key) = words.peek()
            && KEY_TYPES.contains(&word)
            && is_complete(word, key)
        {
            return Some(key);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{contains_key, fingerprint};

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    #[test]
    fn finds_keys_after_options_but_no_placeholders() {
        assert!(contains_key(ED));
        assert!(contains_key(&format!(
            "from=\"10.0.0.1\",no-pty {ED} me@here"
        )));
        for none in [
            "",
            "ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY",
            "~/.ssh/id_ed25519.pub",
            "ssh-ed25519",
            &ED.replace("ssh-ed25519", "ssh-rsa"),
            // Cut short, and still Base64.
            ED.split_at(ED.len() - 4).0,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        ] {
            assert!(!contains_key(none), "{none}");
        }
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
