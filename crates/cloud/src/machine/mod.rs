//! Rented machines: a provider creates one for a build, and destroys it at the end.
//!
//! Guarantees: before a machine is asked for, a process of its own (the holder) runs in a session of its own, and a record of
//! the rental is in the state directory. The holder alone asks the provider. It gives the machine back when sdbuild closes their
//! connection, and that is also what the kernel does when sdbuild is killed. A record whose holder is gone is a rental that the
//! next run gives back. What a provider says is checked before it is used.

mod aws;
mod call;
mod command;
mod holder;
mod message;
mod order;
mod orphans;
mod provider;
mod providers;
mod record;
mod rental;
mod reply;
mod stale;

pub use aws::CloudLeftovers;
pub use holder::{Ended, hold};
pub use message::{Price, RentalRequest};
pub use order::{order, until_it_answers};
pub use providers::price;
pub use record::{Record, records, unusable_records};
pub use rental::{GivenBack, Rental};
pub use stale::StaleRental;
