//! The key that signs the store paths of a binary cache, in Nix's format: `NAME:` and 64 bytes in base64, which are the seed of
//! Ed25519 and the public key. Nix's own programs take no seed, so a key is made here, and never leaves this machine's disk but
//! for memory of the builder that signs.

use std::fmt;

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use base64::{Engine as _, alphabet};

use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::new_ssh_key::public_half;

/// Bytes of a seed, and of a public key.
const HALF: usize = 32;
/// Characters of a hash that tell the names of keys apart: Nix knows one key of each name.
const ID_CHARS: usize = 8;

/// A secret key of a binary cache.
#[derive(Clone, PartialEq, Eq)]
pub struct CacheKey {
    name: String,
    bytes: [u8; 2 * HALF],
}

impl CacheKey {
    /// A new key, called `sdbuild-ID-1` with an id that no other key has.
    ///
    /// # Errors
    ///
    /// When the kernel has no random numbers.
    pub fn generate() -> Result<Self, Failure> {
        let mut seed = [0; HALF];
        getrandom::fill(&mut seed)
            .map_err(|error| std::io::Error::other(error.to_string()))
            .or_environment("generate a key for a binary cache")?;
        let public = public_half(&seed).or_internal("generate a key for a binary cache")?;
        let mut id = Sha256Hash::of(&public).to_string();
        id.truncate(ID_CHARS);
        let mut bytes = [0; 2 * HALF];
        bytes[..HALF].copy_from_slice(&seed);
        bytes[HALF..].copy_from_slice(&public);
        let name = format!("sdbuild-{id}-1");
        Ok(Self { name, bytes })
    }

    /// The key in the text of its file, as `nix key generate-secret` writes it too; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, key) = text.trim().split_once(':')?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let bytes: [u8; 2 * HALF] = BASE64_STANDARD.decode(key).ok()?.try_into().ok()?;
        let (seed, public) = bytes.split_first_chunk::<HALF>()?;
        let is_whole = public_half(seed).is_ok_and(|half| half == public);
        let name = Some(name).filter(|name| !name.is_empty() && name.chars().all(allowed))?;
        is_whole.then(|| Self {
            name: name.to_owned(),
            bytes,
        })
    }

    /// What the signatures begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key, for `trusted-public-keys`.
    pub fn public(&self) -> String {
        let public = BASE64_STANDARD.encode(&self.bytes[HALF..]);
        format!("{}:{public}", self.name)
    }

    /// The text of the secret key's file, one line without its end.
    pub fn secret(&self) -> String {
        format!("{}:{}", self.name, BASE64_STANDARD.encode(self.bytes))
    }
}

/// Why a text is not the public key of a binary cache. The message begins with a verb and does not repeat the text, which may be a
/// secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// It is a secret key.
    #[error("is a secret key, with which anybody can sign what this machine trusts")]
    IsSecret,
    /// It is an address.
    #[error("is an address")]
    IsAddress,
    /// It has no name, or not the bytes of a key.
    #[error("is not `NAME:KEY` with the 32 bytes of a key in base64")]
    Malformed,
}

/// Checks that `text` is the public key of a binary cache: `NAME:` and 32 bytes in base64.
pub fn check_public(text: &str) -> Result<(), PublicKeyError> {
    let decoded = text
        .split_once(':')
        .map(|(name, key)| (name, as_nix().decode(key)));
    match decoded {
        Some((name, Ok(bytes))) if bytes.len() == HALF && !name.is_empty() => Ok(()),
        Some((_, Ok(bytes))) if bytes.len() == 2 * HALF => Err(PublicKeyError::IsSecret),
        _ if text.contains("://") => Err(PublicKeyError::IsAddress),
        _ => Err(PublicKeyError::Malformed),
    }
}

/// Reads base64 as Nix does, also without padding, and whatever the unused bits of the last character are.
fn as_nix() -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&alphabet::STANDARD, config)
}

impl fmt::Debug for CacheKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_has_a_name_and_32_bytes() {
        let key = CacheKey::generate().unwrap();
        let public = key.public();
        assert_eq!(check_public(&public), Ok(()));
        assert_eq!(check_public(public.trim_end_matches('=')), Ok(()));
        let slashes = format!("x-1:{}", BASE64_STANDARD.encode([0xff; HALF]));
        assert!(slashes.contains("://") && check_public(&slashes).is_ok());
        let secret = Err(PublicKeyError::IsSecret);
        assert_eq!(check_public(&key.secret()), secret);
        let address = Err(PublicKeyError::IsAddress);
        assert_eq!(check_public("https://c.example"), address);
        let (_, bytes) = public.split_once(':').unwrap();
        let quoted = format!("\"{public}\"");
        for text in [
            "",
            "x-1",
            "x-1:abc",
            "x-1:",
            bytes,
            &format!(":{bytes}"),
            &quoted,
        ] {
            assert_eq!(check_public(text), Err(PublicKeyError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = CacheKey::generate().unwrap();
        assert_eq!(
            CacheKey::parse(&format!("{}\n", key.secret())).unwrap(),
            key
        );
        assert_ne!(CacheKey::generate().unwrap().name(), key.name());
        assert!(key.public().starts_with(&format!("{}:", key.name())));
        let shown = format!("{key:?}");
        assert!(!key.secret().starts_with(&shown), "{shown}");
    }

    #[test]
    fn what_is_no_secret_key_is_refused() {
        let key = CacheKey::generate().unwrap();
        let (name, secret) = (key.name(), key.secret());
        let mut other = key.bytes;
        other[40] ^= 1;
        let other = BASE64_STANDARD.encode(other);
        for text in [
            key.public(),
            secret.replace(name, ""),
            secret.replace(name, "a b"),
            format!("{name}:{other}"),
            String::new(),
        ] {
            assert_eq!(CacheKey::parse(&text), None);
        }
    }
}
