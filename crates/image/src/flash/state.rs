//! What the card holds at any moment, for the message of a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use sdbuild_core::failure::{Class, Failure};

/// Content of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteState {
    /// The previous content.
    Untouched,
    /// Neither what it held before nor the image.
    HalfWritten,
    /// The image, as far as the disk reports.
    NotVerified,
    /// All of the image was written, and it reads back differently.
    Different,
}

const STATES: [WriteState; 4] = [
    WriteState::Untouched,
    WriteState::HalfWritten,
    WriteState::NotVerified,
    WriteState::Different,
];

/// The state of the card, shared between the thread that writes and the one that waits for it.
#[derive(Clone, Debug)]
pub struct SharedWriteState(Arc<AtomicU8>);

impl SharedWriteState {
    /// An untouched card.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU8::new(WriteState::Untouched as u8)))
    }

    pub(super) fn set(&self, state: WriteState) {
        self.0.store(state as u8, Ordering::SeqCst);
    }

    /// Content of the card.
    pub fn get(&self) -> WriteState {
        let index = usize::from(self.0.load(Ordering::SeqCst));
        STATES
            .get(index)
            .copied()
            .unwrap_or(WriteState::HalfWritten)
    }

    /// Adds the state of the card to the failure of `operation`; one that the user declined is returned as it is.
    pub fn add_to(&self, failure: Failure, operation: &str) -> Failure {
        if failure.class == Class::Declined {
            return failure;
        }
        let (text, hint) = match self.get() {
            WriteState::Untouched => ("nothing was written", None),
            WriteState::HalfWritten => (
                "the card is half-written",
                Some("its old content is lost and it does not boot; flash it again"),
            ),
            WriteState::NotVerified => (
                "the card is written, but not fully verified",
                Some("it may work; flash it again to be sure"),
            ),
            WriteState::Different => (
                "the card is written, but does not hold the image",
                Some("a card that returns other data is worn out or reports a false size"),
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
