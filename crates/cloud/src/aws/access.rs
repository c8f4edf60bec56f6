//! What it takes to call AWS.

use std::path::PathBuf;

use super::client::Client;
use super::credentials::account;
use sdbuild_core::aws_variables::AwsVariables;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;

/// Bytes of the largest file of certificate authorities that is read.
const MAX_AUTHORITIES_BYTES: u64 = 16 << 20;

/// What calls depend on. It has the user's keys, and is in no record.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The variables of AWS's own tools.
    pub variables: AwsVariables,
    /// A file with certificate authorities to trust as well.
    pub ca_file: Option<PathBuf>,
}

impl Access {
    /// A client for `region` with the credentials of `profile`; AWS's own settings decide where they are `None`. The credentials are
    /// looked up anew: those of the last call may have expired. The client gives up when `cancel` is set.
    pub async fn client(
        &self,
        region: Option<&str>,
        profile: Option<&str>,
        cancel: &Cancel,
    ) -> Result<Client, Failure> {
        let account = account(region, profile, &self.variables, cancel).await?;
        let authorities = match &self.ca_file {
            Some(path) => plain_file::read(path, MAX_AUTHORITIES_BYTES)
                .or_environment(format!("read {}", path.display()))?,
            None => Vec::new(),
        };
        Client::new(account, &authorities, cancel)
    }
}
