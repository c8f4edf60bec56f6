//! The calls of Amazon Web Services that publishing an image and renting a machine need: EBS direct and some of EC2, SSM and STS.
//!
//! Credentials come from where AWS's own tools find them, and are in no message, log or file. Requests are signed by AWS's
//! `aws-sigv4`, and sent by the HTTP client that downloads use. Considered: `aws-sdk-ec2` and `aws-config`: 160 more crates and
//! minutes of compilation for some twenty calls.

mod access;
mod client;
mod credentials;
mod ebs;
mod ec2;
mod error;
mod groups;
mod identity;
mod instances;
mod offers;
mod pages;
mod profile;
mod query;
mod tag;
mod xml;

pub use access::Access;
pub use client::Client;
pub use credentials::{Account, check_region};
pub use ebs::{BLOCK_BYTES, NewSnapshot};
pub use ec2::{Ami, ImageCopy, NewImage, Snapshot, has_failed};
pub use error::Error;
pub use groups::Tagged;
pub use instances::{Instance, NewInstance};
pub use offers::SpotPrice;
pub use tag::{Tag, tag_value};
