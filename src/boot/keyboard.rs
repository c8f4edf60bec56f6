//! From a user's keys to a machine's console, where QEMU has no terminal of its own.

use tokio::sync::mpsc;

use crate::engine::{Attached, Container, EngineError};

/// Ctrl-A, which QEMU takes for itself.
const PREFIX: u8 = 1;

/// What leads to the console of a machine in a container: a program beside the one that holds the leash,
/// because a machine that does not read would keep the end of a common input from being seen.
#[derive(Clone, Debug)]
pub(super) struct Keyboard(Container);

impl Keyboard {
    pub(super) fn of(container: &Container) -> Self {
        Self(container.clone())
    }

    /// Connects. What this gives is to be held as long as somebody types.
    pub(super) async fn open(&self) -> Result<Attached, EngineError> {
        let program = ["/bin/busybox", "sh", "/sdbuild/keys"];
        self.0.exec(program.map(str::to_owned).to_vec()).await
    }
}

/// Hands on what is typed by `press`, until it is Ctrl-A X. We look for that ourselves: QEMU does not
/// read on, nor see it, when the machine has left a few keys unread.
pub(super) async fn hand_on<E>(
    mut keys: mpsc::Receiver<Vec<u8>>,
    mut press: impl AsyncFnMut(&[u8]) -> Result<(), E>,
) {
    let (mut escape, mut heard) = (Escape::default(), true);
    while let Some(typed) = keys.recv().await {
        if escape.is_in(&typed) {
            return;
        }
        // Who does not hear any more has ended, or its engine has: the console tells which.
        heard = heard && press(&typed).await.is_ok();
    }
    std::future::pending::<()>().await;
}

/// Ctrl-A X, in whatever pieces it comes.
#[derive(Debug, Default)]
struct Escape {
    begun: bool,
}

impl Escape {
    fn is_in(&mut self, typed: &[u8]) -> bool {
        typed.iter().any(|key| {
            let ends = self.begun && key.eq_ignore_ascii_case(&b'x');
            // A second one is the machine's.
            self.begun = !self.begun && *key == PREFIX;
            ends
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escape_is_known_in_whatever_pieces() {
        let is_in = |pieces: &[&[u8]]| {
            let mut escape = Escape::default();
            pieces.iter().any(|piece| escape.is_in(piece))
        };
        assert!(is_in(&[b"ab\x01xc"]));
        assert!(is_in(&[b"\x01", b"X"]));
        assert!(is_in(&[b"\x01c\x01x"]));
        assert!(!is_in(&[b"x\x01", b"cx"]));
        assert!(!is_in(&[b"\x01\x01", b"x"]));
    }

    #[tokio::test]
    async fn what_is_typed_is_handed_on_until_the_escape() {
        let (send, keys) = mpsc::channel(4);
        for typed in [&b"ab"[..], b"c", b"\x01x"] {
            send.send(typed.to_vec()).await.unwrap();
        }
        let mut pressed = Vec::new();
        let press = async |typed: &[u8]| {
            pressed.extend_from_slice(typed);
            Ok::<_, EngineError>(())
        };
        hand_on(keys, press).await;
        assert_eq!(pressed, b"abc");
    }
}
