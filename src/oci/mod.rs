//! Container images out of Debian packages.
pub mod deb;
