//! What comes from the network, and where it is kept. The only user of reqwest.
//!
//! Promises: a path that is handed out holds the bytes that were pinned, looked at again on every
//! use; nothing larger than its pin is ever written; every wait can be cancelled, and what was half
//! fetched by then is gone on with by the next run. Refuses to hand out anything that it could not
//! verify, except to [`Fetcher::url`]'s caller, who is told the hash of what came.

pub mod cache;
mod client;
pub mod fetch;
pub mod http_probe;
mod partial;
pub mod pin;
mod progress;
mod source;

pub use cache::Cache;
pub use fetch::{Fetched, Fetcher, Network, Remote};
pub use pin::{Content, Lock, Pin};

#[cfg(test)]
mod tests;
