//! The handler: one entry in the kernel's `binfmt_misc` table, for as long as a run needs it.
//!
//! The table belongs to the engine's host, so nothing here reads this machine's files: everything goes through the
//! registrar, a small container that removes the entry when its standard input ends or stays silent. With
//! [`PrivateBinfmt`] the table is a container's own, and nothing outside that container changes.
//!
//! Guarantees: the guard is armed before the effect; the handler is removed when it is released, when this process dies
//! for whatever reason, and when it stays silent; a registrar that was killed is replaced by one that cleans up; every
//! wait is bounded. Nothing is written to `status` or to an entry that is not exactly sdbuild's, and nothing of a live
//! run is removed.

mod agent;
#[cfg(test)]
mod agent_script_tests;
mod lease;
mod private;
mod probe;
mod refused;
mod registrar;
mod registration;

pub use lease::Lease;
pub use private::PrivateBinfmt;
pub use probe::{HandlerKind, probe};
pub use refused::Refused;
pub use registrar::{Registrar, RegistrarImage, RegistrarOptions};
pub use registration::{Entry, HandlerName, Owner, TABLE_DIR, classify, parse};
