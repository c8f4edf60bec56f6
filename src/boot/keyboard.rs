//! Forwards the user's keys to the console of a machine in a container.

use tokio::sync::mpsc;

use crate::engine::{Attached, Container, EngineError};

/// Ctrl-A, the prefix of QEMU's own commands.
const ESCAPE_PREFIX: u8 = 1;

/// The keyboard of a machine in a container: a second program in it, because a machine that reads no keys
/// would block a shared standard input, and with it the detection of its end.
#[derive(Clone, Debug)]
pub(super) struct Keyboard(Container);

impl Keyboard {
    pub(super) fn of(container: &Container) -> Self {
        Self(container.clone())
    }

    /// Connects; dropping the result disconnects.
    pub(super) async fn connect(&self) -> Result<Attached, EngineError> {
        let program = ["/bin/busybox", "sh", "/sdbuild/keys"];
        self.0.exec(program.map(str::to_owned).to_vec()).await
    }
}

/// Forwards `keys` with `press` until Ctrl-A X. That is detected here: QEMU reads no further, and does not
/// see it, while the machine leaves earlier keys unread.
pub(super) async fn forward_keys<E>(
    mut keys: mpsc::Receiver<Vec<u8>>,
    mut press: impl AsyncFnMut(&[u8]) -> Result<(), E>,
) {
    let (mut escape, mut is_connected) = (EscapeDetector::default(), true);
    while let Some(typed) = keys.recv().await {
        if escape.ends_in(&typed) {
            return;
        }
        // A lost connection means that the machine or the engine ended; the console reports which.
        is_connected = is_connected && press(&typed).await.is_ok();
    }
    std::future::pending::<()>().await;
}

/// Detects Ctrl-A X in pieces of any size.
#[derive(Debug, Default)]
struct EscapeDetector {
    has_prefix: bool,
}

impl EscapeDetector {
    fn ends_in(&mut self, typed: &[u8]) -> bool {
        typed.iter().any(|key| {
            let ends = self.has_prefix && key.eq_ignore_ascii_case(&b'x');
            // A second prefix is sent to the machine.
            self.has_prefix = !self.has_prefix && *key == ESCAPE_PREFIX;
            ends
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_is_detected_across_pieces() {
        let ends_in = |pieces: &[&[u8]]| {
            let mut escape = EscapeDetector::default();
            pieces.iter().any(|piece| escape.ends_in(piece))
        };
        assert!(ends_in(&[b"ab\x01xc"]));
        assert!(ends_in(&[b"\x01", b"X"]));
        assert!(ends_in(&[b"\x01c\x01x"]));
        assert!(!ends_in(&[b"x\x01", b"cx"]));
        assert!(!ends_in(&[b"\x01\x01", b"x"]));
    }

    #[tokio::test]
    async fn keys_are_forwarded_until_the_escape() {
        let (send, keys) = mpsc::channel(4);
        for typed in [&b"ab"[..], b"c", b"\x01x"] {
            send.send(typed.to_vec()).await.unwrap();
        }
        let mut pressed = Vec::new();
        let press = async |typed: &[u8]| {
            pressed.extend_from_slice(typed);
            Ok::<_, EngineError>(())
        };
        forward_keys(keys, press).await;
        assert_eq!(pressed, b"abc");
    }
}
