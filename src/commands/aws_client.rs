//! The account of AWS that options name.

use crate::aws::Client;
use crate::cli::AwsAccount;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::pipeline::aws_access;
use crate::settings::Common;

/// A client for the region and the profile that `account` names.
pub(super) async fn client(
    account: &AwsAccount,
    common: &Common,
    context: &Context,
) -> Result<Client, Failure> {
    let (region, profile) = (account.region.as_deref(), account.profile.as_deref());
    let client = aws_access(common)
        .client(region, profile, &context.cancel)
        .await?;
    Ok(client.with_events(&context.events))
}
