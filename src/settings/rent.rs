//! The rented machine that a build runs on.

use super::resolver::Resolver;
use crate::common::failure::Failure;
use crate::common::machine_source::MachineSource;

/// Whether a build rents a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rent {
    /// The provider of the machine; `None`: the build runs on the engine that is there.
    pub from: Option<MachineSource>,
    /// Whether its price is accepted without a question; a command that asks sets it.
    pub accepts_price: bool,
}

impl Rent {
    pub(super) fn resolve(s: &mut Resolver<'_>) -> Result<Self, Failure> {
        Ok(Self {
            from: s.value("on", Some("SDBUILD_ON"), |o| o.on.clone())?.0,
            accepts_price: false,
        })
    }
}
