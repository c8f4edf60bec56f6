//! The public keys of the running ssh-agent, by its own protocol (draft-miller-ssh-agent). Private keys never
//! leave it.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::keys::{PublicKey, public_key};

/// Asks for the list, and what its answer is called.
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
/// An agent with a hundred keys says less.
const LONGEST: u32 = 256 << 10;
/// It answers from memory; one that is forwarded takes a round trip.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keys that the agent at `socket` holds; none when there is nobody, or somebody else.
pub fn agent_keys(socket: &Path) -> Vec<PublicKey> {
    ask(socket)
        .ok()
        .and_then(|answer| keys(&answer))
        .unwrap_or_default()
}

fn ask(socket: &Path) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES])?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = Vec::new();
    stream.take(length.into()).read_to_end(&mut answer)?;
    Ok(answer)
}

/// What is in an answer: a number, then for each key its blob and its comment.
fn keys(answer: &[u8]) -> Option<Vec<PublicKey>> {
    let mut rest = answer.strip_prefix(&[IDENTITIES_ANSWER])?;
    let (count, after) = rest.split_first_chunk::<4>()?;
    rest = after;
    let mut keys = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (blob, after) = string(rest)?;
        let (comment, after) = string(after)?;
        rest = after;
        let (kind, _) = string(blob)?;
        let line = format!(
            "{} {} {}",
            String::from_utf8_lossy(kind),
            BASE64_STANDARD.encode(blob),
            String::from_utf8_lossy(comment).replace(['\n', '\r'], " ")
        );
        keys.extend(public_key(&line));
    }
    Some(keys)
}

/// Bytes with their length before them, and what follows.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        let part = |bytes: &&[u8]| {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [&length[..], bytes].concat()
        };
        parts.iter().flat_map(part).collect()
    }

    #[test]
    fn keys_are_read_and_what_is_none_is_passed_over() {
        let good = framed(&[b"ssh-ed25519", &[7; 32]]);
        let certificate = framed(&[b"ssh-ed25519-cert-v01@openssh.com", &[7; 32]]);
        let list = framed(&[&good, b"me\n@here", &certificate, b""]);
        let answer = [&[IDENTITIES_ANSWER, 0, 0, 0, 2][..], &list].concat();
        let found = keys(&answer).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].line.ends_with(" me @here"), "{found:?}");
        for cut in 0..answer.len() {
            assert_eq!(keys(&answer[..cut]), None, "{cut}");
        }
        assert_eq!(keys(&[5]), None);
        assert!(agent_keys(Path::new("/nonexistent")).is_empty());
    }
}
