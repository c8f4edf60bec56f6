//! The account of AWS that options name.

use crate::aws::{Access, Client};
use crate::cli::AwsAccount;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::settings::Common;

/// A client for the region and the profile that `account` names.
pub(super) async fn client(
    account: &AwsAccount,
    common: &Common,
    context: &Context,
) -> Result<Client, Failure> {
    let access = Access {
        variables: common.aws.clone(),
        ca_file: common.ca_file.clone(),
    };
    let (region, profile) = (account.region.as_deref(), account.profile.as_deref());
    let client = access.client(region, profile, &context.cancel).await?;
    Ok(client.with_events(&context.events))
}
