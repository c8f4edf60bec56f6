//! Timeouts and retries of downloads.

use std::time::Duration;

/// A small file that every Debian mirror has, below its address.
pub const MIRROR_PROBE: &str = "dists/stable/Release";

/// How downloads use the network.
#[derive(Clone, Debug)]
pub struct Network {
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a server may send nothing.
    pub read_timeout: Duration,
    /// How often one mirror is asked for one file if its errors may be temporary.
    pub tries: u32,
    /// The pause before the second try; it doubles before each further one.
    pub pause: Duration,
    /// How many files are downloaded at a time.
    pub parallel: usize,
    /// Whether nothing is downloaded: only what the cache has can be had.
    pub offline: bool,
    /// Certificate authorities (PEM) to trust in addition to the usual ones; may be empty.
    pub authorities: Vec<u8>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(20),
            tries: 3,
            pause: Duration::from_millis(500),
            parallel: 4,
            offline: false,
            authorities: Vec::new(),
        }
    }
}
