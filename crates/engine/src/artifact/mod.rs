//! Downloads and their cache. The only user of reqwest.
//!
//! A path that is returned has the bytes that were pinned, which is verified on every use; only
//! [`Fetcher::url`] may be called without a hash, and returns the hash of what it received. Nothing larger
//! than its pin is ever written. Every wait can be cancelled, and the next run resumes what was partly
//! downloaded by then.

pub mod cache;
mod cache_error;
mod client;
pub mod fetch;
mod fetch_error;
pub mod http_probe;
mod min_rate;
mod mirror_state;
mod network;
mod partial;
pub mod pin;
mod progress;
mod source;

pub use cache::Cache;
pub use cache_error::CacheError;
pub use client::http_client;
pub use fetch::{Fetched, Fetcher, Remote};
pub use fetch_error::{CHECK_ADDRESS, FetchError};
pub use network::{MIRROR_PROBE, Network};
pub use pin::{Content, Lock, Pin};

#[cfg(test)]
mod tests;
