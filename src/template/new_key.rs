//! A fresh SSH key in the form that OpenSSH reads, on machines without `ssh-keygen` too.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

const KIND: &str = "ssh-ed25519";
/// What begins every private key of OpenSSH's own format.
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// The secret part is a multiple of this.
const BLOCK: usize = 8;
/// Characters on a line of a private key's file.
const LINE: usize = 70;

/// A key and its file.
#[derive(Clone)]
pub struct KeyPair {
    /// As in `authorized_keys`.
    pub public: String,
    /// The text of the private key's file.
    pub private: String,
}

impl std::fmt::Debug for KeyPair {
    /// Without what is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public).finish()
    }
}

impl KeyPair {
    /// Makes one.
    pub fn fresh(comment: &str) -> io::Result<Self> {
        let (mut seed, mut check) = ([0; 32], [0; 4]);
        let random = getrandom::fill(&mut seed).and_then(|()| getrandom::fill(&mut check));
        random.map_err(|error| io::Error::other(error.to_string()))?;
        Self::of(&seed, check, comment)
    }

    fn of(seed: &[u8; 32], check: [u8; 4], comment: &str) -> io::Result<Self> {
        // 32 bytes always are a key; what ring would refuse is another length.
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|refused| io::Error::other(refused.to_string()))?;
        let public = pair.public_key().as_ref();
        let blob = [string(KIND.as_bytes()), string(public)].concat();
        let mut secret = [
            check.to_vec(),
            check.to_vec(),
            blob.clone(),
            string(&[seed, public].concat()),
            string(comment.as_bytes()),
        ]
        .concat();
        let padding = secret.len().next_multiple_of(BLOCK) - secret.len();
        secret.extend((1u8..).take(padding));
        let file = [
            MAGIC.to_vec(),
            string(b"none"),
            string(b"none"),
            string(b""),
            1u32.to_be_bytes().to_vec(),
            string(&blob),
            string(&secret),
        ];
        Ok(Self {
            public: format!("{KIND} {} {comment}", BASE64_STANDARD.encode(&blob)),
            private: armoured(&file.concat()),
        })
    }
}

/// Bytes with their length before them.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn armoured(bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let mut file = "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned();
    for (at, c) in text.chars().enumerate() {
        if at % LINE == 0 {
            file.push('\n');
        }
        file.push(c);
    }
    file + "\n-----END OPENSSH PRIVATE KEY-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::ssh_key;

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn the_public_half_is_that_of_the_seed() {
        let bytes = |text: &str| hex::decode(text).unwrap();
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let pair = KeyPair::of(&seed.try_into().unwrap(), [1, 2, 3, 4], "me").unwrap();
        let blob = [string(KIND.as_bytes()), string(&public)].concat();
        let line = format!("{KIND} {} me", BASE64_STANDARD.encode(blob));
        assert_eq!(pair.public, line);
        assert!(!format!("{pair:?}").contains("PRIVATE"));
    }

    #[test]
    fn two_keys_differ_and_are_whole() {
        let [one, two] = [(); 2].map(|()| KeyPair::fresh("try").unwrap());
        assert_ne!(one.public, two.public);
        assert!(ssh_key::is_in(&one.public), "{}", one.public);
        assert!(one.private.lines().all(|line| line.len() <= LINE));
    }
}
