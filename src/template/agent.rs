//! The public keys of the running ssh-agent, listed by the agent protocol (draft-miller-ssh-agent). Private keys
//! never leave the agent.
//!
//! Considered: ssh-agent-lib 0.5: an async client and server for the whole protocol, where one request and its
//! reply are needed.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::keys::{PublicKey, public_key};
use sdbuild_engine::unix_socket;

/// `SSH_AGENTC_REQUEST_IDENTITIES`.
const REQUEST_IDENTITIES: u8 = 11;
/// `SSH_AGENT_IDENTITIES_ANSWER`.
const IDENTITIES_ANSWER: u8 = 12;
/// Largest reply in bytes; one with a hundred keys is smaller.
const MAX_REPLY_BYTES: u32 = 256 << 10;
/// Timeout of each read and write: a local agent replies at once, a forwarded one after a round trip.
const IO_TIMEOUT: Duration = Duration::from_secs(2);

/// The keys of the agent at `socket`; empty when no agent answers there.
pub fn agent_keys(socket: &Path) -> Vec<PublicKey> {
    list_identities(socket)
        .ok()
        .and_then(|reply| parse_identities(&reply))
        .unwrap_or_default()
}

/// The agent's reply, without its length.
fn list_identities(socket: &Path) -> io::Result<Vec<u8>> {
    let mut stream = unix_socket::connect(socket)?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES])?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_REPLY_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut reply = Vec::new();
    stream.take(length.into()).read_to_end(&mut reply)?;
    Ok(reply)
}

/// The keys in a reply: their number, then the blob and the comment of each. `None` when it is malformed.
fn parse_identities(reply: &[u8]) -> Option<Vec<PublicKey>> {
    let mut rest = reply.strip_prefix(&[IDENTITIES_ANSWER])?;
    let (count, after) = rest.split_first_chunk::<4>()?;
    rest = after;
    let mut keys = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (blob, after) = split_string(rest)?;
        let (comment, after) = split_string(after)?;
        rest = after;
        let (kind, _) = split_string(blob)?;
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

/// Splits off a `string` of the protocol: a length of four bytes and as many bytes.
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
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
    fn reads_keys_and_skips_certificates() {
        let good = framed(&[b"ssh-ed25519", &[7; 32]]);
        let certificate = framed(&[b"ssh-ed25519-cert-v01@openssh.com", &[7; 32]]);
        let list = framed(&[&good, b"me\n@here", &certificate, b""]);
        let answer = [&[IDENTITIES_ANSWER, 0, 0, 0, 2][..], &list].concat();
        let found = parse_identities(&answer).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].line.ends_with(" me @here"), "{found:?}");
        for cut in 0..answer.len() {
            assert_eq!(parse_identities(&answer[..cut]), None, "{cut}");
        }
        assert_eq!(parse_identities(&[5]), None);
        assert!(agent_keys(Path::new("/nonexistent")).is_empty());
    }
}
