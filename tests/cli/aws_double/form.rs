//! Which call it is, its parameters, and how answers are written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::http::{Reply, reply};
use super::{AwsState, Done, Form, IN_REGION, images, machines};
use crate::support::Request;

pub(super) fn action(call: &Request, form: &BTreeMap<String, String>) -> String {
    let name = match (call.method.as_str(), call.target.as_str()) {
        ("POST", "/") => {
            let of_form = || form.get("Action").cloned().unwrap_or_default();
            let target = call.headers.get("x-amz-target");
            let name = target.and_then(|target| target.rsplit('.').next());
            return name.map_or_else(of_form, str::to_owned);
        }
        ("GET", "/checkip") => "checkip",
        ("POST", "/snapshots") => "StartSnapshot",
        ("POST", path) if path.starts_with("/snapshots/completion/") => "CompleteSnapshot",
        ("PUT", _) => "PutSnapshotBlock",
        _ => "unknown",
    };
    name.to_owned()
}

pub(super) fn form(call: &Request) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&call.body).into_owned().collect()
}

/// The service that a call is for.
pub(super) fn service(call: &Request, form: &Form) -> &'static str {
    if call.target != "/" {
        "ebs"
    } else if call.headers.contains_key("x-amz-target") {
        "ssm"
    } else if form.get("Version").is_some_and(|version| version == "2011-06-15") {
        "sts"
    } else {
        "ec2"
    }
}

/// The image that AWS's parameter names.
pub(super) fn get_parameter(call: &Request) -> Done {
    let json: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let name = json["Name"].as_str().unwrap_or_default();
    let prefix = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-";
    match name.strip_prefix(prefix) {
        Some("arm64" | "x86_64") => {
            let parameter =
                serde_json::json!({ "Name": name, "Type": "String", "Value": machines::IMAGE });
            Ok(reply(200, serde_json::json!({ "Parameter": parameter }).to_string()))
        }
        _ => Err(("ParameterNotFound", name.to_owned())),
    }
}

pub(super) fn refusal(call: &Request, status: u16, code: &str, message: &str) -> Reply {
    if call.target == "/" && !call.headers.contains_key("x-amz-target") {
        let body = format!(
            "<?xml version=\"1.0\"?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
             <RequestID>1</RequestID></Response>"
        );
        return Reply { status, headers: Vec::new(), body };
    }
    let headers = vec![("x-amzn-ErrorType".to_owned(), code.to_owned())];
    let body = serde_json::json!({ "Message": message }).to_string();
    Reply { status, headers, body }
}

/// The parameters of each call; one that ends in a dot begins a list.
const PARAMETERS: [(&str, &[&str]); 22] = [
    ("DescribeImages", &["Owner.", "Filter.", "IncludeDisabled"]),
    ("DescribeSnapshots", &["Owner.", "Filter."]),
    (
        "RegisterImage",
        &[
            "Name",
            "Description",
            "Architecture",
            "RootDeviceName",
            "BlockDeviceMapping.",
            "VirtualizationType",
            "BootMode",
            "EnaSupport",
            "SriovNetSupport",
            "ImdsSupport",
            "TagSpecification.",
        ],
    ),
    ("ModifyImageAttribute", &["ImageId", "LaunchPermission."]),
    ("CopyImage", &["SourceImageId", "SourceRegion", "Name", "ClientToken", "TagSpecification."]),
    ("ModifySnapshotAttribute", &["SnapshotId", "Attribute", "CreateVolumePermission."]),
    ("EnableImageDeprecation", &["ImageId", "DeprecateAt"]),
    ("DeregisterImage", &["ImageId"]),
    ("DeleteSnapshot", &["SnapshotId"]),
    ("DescribeRegions", &[]),
    ("GetEbsEncryptionByDefault", &[]),
    (
        "DescribeSpotPriceHistory",
        &["InstanceType.", "ProductDescription.", "StartTime", "NextToken"],
    ),
    (
        "RunInstances",
        &[
            "ImageId",
            "InstanceType",
            "MinCount",
            "MaxCount",
            "ClientToken",
            "SecurityGroupId.",
            "InstanceInitiatedShutdownBehavior",
            "MetadataOptions.",
            "BlockDeviceMapping.",
            "UserData",
            "Placement.",
            "InstanceMarketOptions.",
            "TagSpecification.",
        ],
    ),
    ("DescribeInstances", &["Filter.", "NextToken"]),
    ("TerminateInstances", &["InstanceId."]),
    ("CreateTags", &["ResourceId.", "Tag."]),
    ("CreateSecurityGroup", &["GroupName", "GroupDescription", "TagSpecification."]),
    ("AuthorizeSecurityGroupIngress", &["GroupId", "IpPermissions."]),
    ("DescribeSecurityGroups", &["Filter.", "NextToken"]),
    ("DeleteSecurityGroup", &["GroupId"]),
    ("DescribeVolumes", &["Filter.", "NextToken"]),
    ("DeleteVolume", &["VolumeId"]),
];

pub(super) fn ec2(action: &str, form: &BTreeMap<String, String>, state: &mut AwsState) -> Done {
    let Some((_, known)) = PARAMETERS.iter().find(|(name, _)| *name == action) else {
        return Err(("InvalidAction", format!("there is no {action}")));
    };
    let is_known = |name: &str| {
        known.iter().any(|known| {
            known.strip_suffix('.').map_or(name == *known, |list| name.starts_with(list))
        })
    };
    let others: BTreeSet<_> = form
        .keys()
        .filter(|name| {
            !["Action", "Version", IN_REGION].contains(&name.as_str()) && !is_known(name)
        })
        .collect();
    if form.get("Version").is_none_or(|version| version != "2016-11-15") || !others.is_empty() {
        return Err(("UnknownParameter", format!("{others:?}")));
    }
    let body = match machines::carry_out(action, form, state) {
        Some(done) => done?,
        None => images::carry_out(action, form, state)?,
    };
    let text = format!(
        "<?xml version=\"1.0\"?><{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{body}</{action}Response>"
    );
    Ok(reply(200, text))
}

pub(super) fn tag_set(tags: &[(String, String)]) -> String {
    let mut items = String::new();
    for (key, value) in tags {
        write!(items, "<item><key>{key}</key><value>{value}</value></item>").unwrap();
    }
    format!("<tagSet>{items}</tagSet>")
}
