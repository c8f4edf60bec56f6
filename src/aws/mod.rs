//! The calls of Amazon Web Services that publishing an image needs: EBS direct and a few of EC2.
//!
//! Credentials come from where AWS's own tools find them, and are in no message, log or file. Requests are signed by AWS's
//! `aws-sigv4`, and sent by the HTTP client that downloads use. Considered: `aws-sdk-ec2` and `aws-config`: 160 more crates and
//! minutes of compilation for a dozen calls.

mod client;
mod credentials;
mod ebs;
mod ec2;
mod error;
mod profile;

pub use client::Client;
pub use credentials::{Account, account};
pub use ebs::{BLOCK_BYTES, NewSnapshot};
pub use ec2::{Ami, NewImage, Snapshot, Tag};
pub use error::Error;
