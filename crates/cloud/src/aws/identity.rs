//! Who calls: the account, and the address that its calls come from.

use std::net::IpAddr;

use super::client::Client;
use super::error::{Error, OWN_ADDRESS};
use super::xml::descendant;

/// Service of AWS that returns the caller's public address.
const CHECK_ADDRESS: &str = "https://checkip.amazonaws.com/";

impl Client {
    /// The id of the account whose credentials are used: 12 digits.
    pub async fn account_id(&self) -> Result<String, Error> {
        let action = "GetCallerIdentity";
        let body = self.query_sts(action).await?;
        descendant(&body, "Account").ok_or_else(|| Error::Unexpected {
            action,
            what: "no Account".to_owned(),
        })
    }

    /// The address from which this machine reaches the internet, as AWS sees it.
    pub async fn own_address(&self) -> Result<IpAddr, Error> {
        let action = OWN_ADDRESS;
        let other = self.account.own_address_url.as_deref();
        let text = self.get(action, other.unwrap_or(CHECK_ADDRESS)).await?;
        text.trim().parse().map_err(|_| Error::Unexpected {
            action,
            what: "something that is not an address".to_owned(),
        })
    }
}
