//! The handler: one entry in the kernel's `binfmt_misc` table, for as long as a run needs it.
//!
//! The table belongs to the engine's host, so nothing here looks at our own machine's files; all of
//! it goes through the registrar, a small container that holds the entry on a leash. Or the table is
//! a container's own ([`PrivateBinfmt`]): then nothing outside it changes.
//!
//! Promises: the guard is armed before the effect; the handler goes when we release it, when we die
//! of anything, and when we fall silent; a registrar that was killed is replaced to clean up after it;
//! every wait is bounded. Refuses: to write to `status` or to any entry that is not exactly ours, and
//! to remove what belongs to a live run.

mod agent;
mod lease;
mod private;
mod probe;
mod refusal;
mod registrar;
mod registration;
mod status;

pub use lease::{Lease, PauseHandle};
pub use private::PrivateBinfmt;
pub use probe::{HandlerKind, probe};
pub use registrar::{Registrar, RegistrarImage, RegistrarOptions};
pub use registration::HandlerName;
pub use status::{Entry, Owner, classify, parse};
