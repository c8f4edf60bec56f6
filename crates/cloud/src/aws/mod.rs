//! The calls of Amazon Web Services that publishing an image and renting a machine need: EBS direct and some of EC2, SSM and STS.
//!
//! Credentials come from where AWS's own tools find them, and are in no message, log or file. Requests are signed by AWS's
//! `aws-sigv4`, and sent by the HTTP client that downloads use. Considered: `aws-sdk-ec2` and `aws-config`: 160 more crates and
//! minutes of compilation for some twenty calls.

mod client;
mod credentials;
mod ebs;
mod ec2;

pub use client::{Client, Error};
pub use credentials::{Access, Account, check_region};
pub use ebs::BLOCK_BYTES;
pub use ec2::{
    Ami, Instance, NewInstance, Snapshot, SpotPrice, Tag, Tagged, has_failed, tag_value,
};
