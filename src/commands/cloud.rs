//! What joins builds with rented machines and AWS. Everything here is behind the feature `cloud`; `no_cloud.rs` stands in for it.

mod clean;
mod publish;
mod records;
mod rental;

pub(super) use clean::run as clean;
pub use publish::run as publish;
pub(super) use records::{CloudRecords, machines, report_unfinished_uploads};
pub use rental::hold_machine;
pub(super) use rental::{check_provider, price, with_machine};

use crate::cli::AwsAccount;
use crate::settings::Environment;
use sdbuild_build::Common;
use sdbuild_cloud::aws::{Access, Client};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

/// What calls of AWS depend on.
fn access(env: &Environment, common: &Common) -> Access {
    Access {
        variables: env.aws(),
        ca_file: common.ca_file.clone(),
    }
}

/// A client for the region and the profile that `account` names.
async fn client(
    account: &AwsAccount,
    access: &Access,
    context: &Context,
) -> Result<Client, Failure> {
    let (region, profile) = (account.region.as_deref(), account.profile.as_deref());
    let client = access.client(region, profile, &context.cancel).await?;
    Ok(client.with_events(&context.events))
}
