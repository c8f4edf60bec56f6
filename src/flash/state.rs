//! What a card holds right now, for whoever has to tell it after whatever happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::common::failure::Failure;

/// What the card holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteState {
    /// What it held before.
    Untouched,
    /// Neither what it held before nor the image.
    HalfWritten,
    /// The image, as far as the disk says.
    NotVerified,
    /// Something else than the image, though all of it was written.
    Different,
}

/// The card's state, shared with whoever waits for the work to end.
#[derive(Clone, Debug)]
pub struct SharedWriteState(Arc<AtomicU8>);

const STATES: [WriteState; 4] = [
    WriteState::Untouched,
    WriteState::HalfWritten,
    WriteState::NotVerified,
    WriteState::Different,
];

impl SharedWriteState {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU8::new(0)))
    }

    pub(super) fn set(&self, card: WriteState) {
        self.0.store(card as u8, Ordering::SeqCst);
    }

    /// What the card holds.
    pub fn get(&self) -> WriteState {
        let now = usize::from(self.0.load(Ordering::SeqCst));
        STATES.get(now).copied().unwrap_or(WriteState::HalfWritten)
    }

    /// `failure` with the state of the card around it.
    pub fn told(&self, failure: Failure, operation: &str) -> Failure {
        let (text, hint) = match self.get() {
            WriteState::Untouched => ("nothing was written", None),
            WriteState::HalfWritten => (
                "the card is half-written",
                Some("what was on the card is lost, and it does not boot: flash it again"),
            ),
            WriteState::NotVerified => (
                "the card is written, but it was not read back to the end",
                Some("it may well work; flash it again to be sure"),
            ),
            WriteState::Different => (
                "the card is written, but does not hold the image",
                Some(
                    "a card that reads back something else is worn out or pretends a size that it has not",
                ),
            ),
        };
        let failure = failure.context(format!("{operation} ({text})"));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl Default for SharedWriteState {
    fn default() -> Self {
        Self::new()
    }
}
