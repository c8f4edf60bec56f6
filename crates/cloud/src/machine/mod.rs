//! Rented machines: a provider creates one for a build, and destroys it at the end.
//!
//! Guarantees: before a machine is asked for, a process of its own (the holder) runs in a session of its own, and a record of
//! the rental is in the state directory. The holder alone asks the provider. It gives the machine back when sdbuild closes their
//! connection, and that is also what the kernel does when sdbuild is killed. A record whose holder is gone is a rental that the
//! next run gives back. What a provider says is checked before it is used.

mod aws;
mod command;
mod holder;
mod order;
mod provider;
mod record;
mod rental;

pub use aws::CloudLeftovers;
pub use holder::{Ended, hold};
pub use order::{Price, RentalRequest, order, until_it_answers};
pub use provider::price;
pub use record::{Record, StaleRental, records, unusable_records};
pub use rental::{GivenBack, Rental};
