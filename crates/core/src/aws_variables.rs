//! What AWS's own tools read of the environment.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// The variables for AWS that sdbuild reads, with what finds the user's files and programs.
#[derive(Clone, Default)]
pub struct AwsVariables {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<String>,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<String>,
    /// `AWS_PROFILE`.
    pub profile: Option<String>,
    /// `AWS_REGION`, or `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL`: takes the place of the addresses of all services.
    pub endpoint_url: Option<String>,
    /// `SDBUILD_OWN_ADDRESS_URL`: the service that returns the caller's address, in place of AWS's.
    pub own_address_url: Option<String>,
    /// `AWS_CONFIG_FILE`; `~/.aws/config` otherwise.
    pub config_file: Option<PathBuf>,
    /// `AWS_SHARED_CREDENTIALS_FILE`; `~/.aws/credentials` otherwise.
    pub credentials_file: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// Directories that are searched for programs, as in `PATH`.
    pub path: OsString,
}

// Without the keys.
impl fmt::Debug for AwsVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsVariables")
            .field("profile", &self.profile)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
