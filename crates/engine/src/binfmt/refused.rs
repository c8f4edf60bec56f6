//! The error of a mode of emulation.

use sdbuild_core::failure::{Failure, Leftover};

/// Why a mode of emulation cannot be used.
#[derive(Debug)]
pub struct Refused {
    pub failure: Failure,
    /// Whether the reason concerns this mode only: another one may work. Otherwise every mode would fail: an interruption, a full disk, a
    /// silent engine.
    pub of_this_mode: bool,
}

impl Refused {
    /// A mode that cannot be used for a reason that concerns it only.
    pub fn next_mode(failure: Failure) -> Self {
        Self {
            failure,
            of_this_mode: true,
        }
    }

    /// The same with what `change` makes of the failure.
    #[must_use]
    pub fn map(self, change: impl FnOnce(Failure) -> Failure) -> Self {
        Self {
            failure: change(self.failure),
            ..self
        }
    }

    pub(super) fn with_teardown(self, leftovers: Vec<Leftover>) -> Self {
        self.map(|failure| failure.with_teardown(leftovers))
    }

    pub(super) fn hint(self, hint: impl std::fmt::Display) -> Self {
        self.map(|failure| failure.hint(hint))
    }
}

impl From<Failure> for Refused {
    /// What is not known to concern one mode only concerns all.
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            of_this_mode: false,
        }
    }
}
