//! Why a file could not be downloaded from any source.

use std::fmt;

use super::cache_error::CacheError;
use sdbuild_core::failure::{Class, Failure};

/// What failed if there is no client of HTTP.
pub(super) const PREPARE: &str = "prepare downloads";
/// Hint where a named address has no file.
pub const CHECK_ADDRESS: &str = "check the network and the address";

/// Why a file could not be downloaded.
#[derive(Debug)]
pub enum FetchError {
    /// No source had it: base URL and reason of each, in the order in which they were asked.
    Sources(Vec<(String, String)>),
    /// No source was asked, because nothing is to be downloaded.
    Offline,
    /// No source was asked, because the client of HTTP could not be made.
    Client(String),
    /// The cache, not the network.
    Cache(CacheError),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sources(answers) => {
                f.write_str("no server delivered it")?;
                answers
                    .iter()
                    .try_for_each(|(source, why)| write!(f, "\n  {source}: {why}"))
            }
            Self::Offline => {
                f.write_str("the cache does not have it, and --offline does not allow a download")
            }
            Self::Client(why) => f.write_str(why),
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FetchError {}

impl From<CacheError> for FetchError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

impl FetchError {
    /// The failure to download `name`; `network_hint` is for the sources.
    pub(super) fn fail(self, name: &str, network_hint: &'static str) -> Failure {
        let hint = match self {
            // It is about no file.
            Self::Client(_) => return Failure::new(Class::Environment, self).context(PREPARE),
            Self::Sources(_) => network_hint,
            Self::Offline => "run it once without --offline; what is downloaded is kept",
            Self::Cache(_) => "check free space and permissions of the cache directory",
        };
        Failure::new(Class::Environment, self)
            .context(format_args!("download {name}"))
            .hint(hint)
    }
}
