//! Rented machines and published images of clouds, for sdbuild.

pub mod aws;
pub mod machine;
pub mod publish;
