//! The error of a mode of emulation.

use sdbuild_core::failure::{Class, Failure, Leftover};

/// Why a mode of emulation cannot be used.
#[derive(Debug)]
pub enum Refused {
    /// The reason concerns this mode only: another one may work.
    NextMode(Failure),
    /// Every mode would fail: an interruption, a full disk, a silent engine.
    Final(Failure),
}

impl Refused {
    /// The same with what `change` makes of the failure.
    #[must_use]
    pub fn map(self, change: impl FnOnce(Failure) -> Failure) -> Self {
        match self {
            Self::NextMode(failure) => Self::NextMode(change(failure)),
            Self::Final(failure) => Self::Final(change(failure)),
        }
    }

    /// The failure, whichever it is.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::NextMode(failure) | Self::Final(failure) => failure,
        }
    }

    /// The class of the failure.
    pub fn class(&self) -> Class {
        match self {
            Self::NextMode(failure) | Self::Final(failure) => failure.class,
        }
    }

    #[cfg(test)]
    pub(super) fn is_worth_another(&self) -> bool {
        matches!(self, Self::NextMode(_))
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
        Self::Final(failure)
    }
}
