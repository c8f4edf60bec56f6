//! Downloads and their cache. The only user of reqwest.
//!
//! A path that is returned has the bytes that were pinned, which is verified on every use; only
//! [`Fetcher::url`] may be called without a hash, and returns the hash of what it received. Nothing larger
//! than its pin is ever written. Every wait can be cancelled, and the next run resumes what was partly
//! downloaded by then.

pub mod cache;
mod client;
pub mod fetch;
pub mod pin;
mod source;

pub use cache::{Cache, CacheError};
pub use client::{Answer, HttpProbe, http_client};
pub use fetch::{CHECK_ADDRESS, FetchError, Fetched, Fetcher, MIRROR_PROBE, Network, Remote};
pub use pin::{Content, Lock, Pin};
pub use source::reason;

#[cfg(test)]
mod tests;
