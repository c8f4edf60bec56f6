//! The calls of EC2 about what belongs to a machine: security groups and volumes.

use std::net::IpAddr;

use super::client::Client;
use super::error::Error;
use super::instances::{add_tags, filter_params};
use super::query::{Params, unless_gone};
use super::tag::Tag;
use super::xml::{parsed, single, tags, text};

/// A security group or a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Its id, `sg-…` or `vol-…`.
    pub id: String,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Client {
    /// Makes a security group in the default network, and returns its id.
    pub async fn create_group(
        &self,
        name: &str,
        description: &str,
        tags: &[Tag],
    ) -> Result<String, Error> {
        let action = "CreateSecurityGroup";
        let mut params: Params = vec![
            ("GroupName".to_owned(), name.to_owned()),
            ("GroupDescription".to_owned(), description.to_owned()),
        ];
        add_tags(&mut params, &["security-group"], tags);
        let body = self.query_list(action, &params).await?;
        single(action, &body, "groupId")
    }

    /// Lets `from` connect to the port `port` of machines in the group `id`.
    pub async fn open_port(&self, id: &str, port: u16, from: IpAddr) -> Result<(), Error> {
        let port = port.to_string();
        let (range, address) = match from {
            IpAddr::V4(address) => ("IpRanges.1.CidrIp", format!("{address}/32")),
            IpAddr::V6(address) => ("Ipv6Ranges.1.CidrIpv6", format!("{address}/128")),
        };
        let range = format!("IpPermissions.1.{range}");
        let params = [
            ("GroupId", id),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", &port),
            ("IpPermissions.1.ToPort", &port),
            (&range, &address),
        ];
        let opened = self.query("AuthorizeSecurityGroupIngress", &params).await;
        match opened {
            // The answer to the first attempt was lost.
            Err(error) if error.has_code("InvalidPermission.Duplicate") => Ok(()),
            other => other.map(drop),
        }
    }

    /// The security groups that pass `filter`.
    pub async fn groups(&self, filter: (&str, &str)) -> Result<Vec<Tagged>, Error> {
        let call = ("DescribeSecurityGroups", "securityGroupInfo", "groupId");
        self.tagged(call, filter_params(filter)).await
    }

    /// The volumes that pass `filter` and belong to no machine.
    pub async fn free_volumes(&self, filter: (&str, &str)) -> Result<Vec<Tagged>, Error> {
        let mut params = filter_params(filter);
        params.push(("Filter.2.Name".to_owned(), "status".to_owned()));
        params.push(("Filter.2.Value.1".to_owned(), "available".to_owned()));
        let call = ("DescribeVolumes", "volumeSet", "volumeId");
        self.tagged(call, params).await
    }

    /// All objects that the call `action` lists in `set`, by their element `id`.
    async fn tagged(
        &self,
        (action, set, id): (&'static str, &str, &str),
        params: Params,
    ) -> Result<Vec<Tagged>, Error> {
        let mut found = Vec::new();
        let mut pages = self.pages(action, params);
        while let Some(body) = pages.next().await? {
            found.extend(parsed(action, &body, set, |item| {
                Some(Tagged {
                    id: text(item, id)?,
                    tags: tags(item),
                })
            })?);
        }
        Ok(found)
    }

    /// Removes the security group `id`. `false` if AWS knows none: it is gone, or was made a moment ago.
    pub async fn delete_group(&self, id: &str) -> Result<bool, Error> {
        match self.query("DeleteSecurityGroup", &[("GroupId", id)]).await {
            Err(error) if error.has_code("InvalidGroup.NotFound") => Ok(false),
            deleted => deleted.map(|_| true),
        }
    }

    /// Removes the volume `id`; nothing is there to do if it is gone.
    pub async fn delete_volume(&self, id: &str) -> Result<(), Error> {
        let deleted = self.query("DeleteVolume", &[("VolumeId", id)]).await;
        unless_gone(deleted, "InvalidVolume.NotFound")
    }
}
