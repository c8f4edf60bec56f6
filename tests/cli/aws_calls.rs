//! What the check of AWS's calls against the published models (`aws_model`) finds.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::aws_double::AwsDouble;
use crate::aws_model::{models_available, violation};

/// Calls that are right, each with changes that make it wrong, and what is said of each.
#[test]
fn a_wrong_parameter_is_named() {
    if !models_available() {
        return;
    }
    let query = |body: &str| violation("POST", "/", &BTreeMap::new(), body.as_bytes());
    let right = "Action=RegisterImage&Version=2016-11-15&Name=kit&BootMode=uefi&EnaSupport=true\
        &TagSpecification.1.ResourceType=image&TagSpecification.1.Tag.1.Key=a&InstanceCount=";
    let right = right.trim_end_matches("&InstanceCount=");
    assert_eq!(query(right), None);
    for (from, to, said) in [
        (
            "BootMode=",
            "BootMood=",
            "RegisterImage has no parameter BootMood",
        ),
        ("Name=kit&", "", "RegisterImage lacks Name"),
        ("=true", "=yes", "RegisterImage.EnaSupport is no boolean"),
        ("=uefi", "=efi", "RegisterImage.BootMode has no value efi"),
        (
            "Tag.1.Key",
            "Tag.2.Key",
            "RegisterImage.TagSpecification.1.Tag is no list",
        ),
        (
            "Tag.1.Key",
            "Tag.1.Name",
            "RegisterImage.TagSpecification.1.Tag.1 has no parameter Name",
        ),
        (
            "RegisterImage",
            "RegisterImages",
            "there is no operation RegisterImages",
        ),
        ("2016-11-15", "2016-11-14", "there is no Version 2016-11-14"),
        ("&Name=kit", "&Name=kit&Name=kit", "Name is there twice"),
    ] {
        let found = query(&right.replacen(from, to, 1)).unwrap_or_default();
        assert!(found.contains(said), "{from} → {to}: {found}");
    }
    let start = |body: &str| violation("POST", "/snapshots", &BTreeMap::new(), body.as_bytes());
    let right =
        r#"{"VolumeSize":1,"Timeout":60,"Description":"d","Tags":[{"Key":"k","Value":"v"}]}"#;
    assert_eq!(start(right), None);
    for (from, to, said) in [
        ("60", "9", "StartSnapshot.Timeout: 9 is outside"),
        ("60", "\"60\"", "StartSnapshot.Timeout is no integer"),
        (r#""VolumeSize":1,"#, "", "StartSnapshot lacks VolumeSize"),
        (
            r#""d""#,
            r#""""#,
            "StartSnapshot.Description: `` does not match",
        ),
        (
            "Value",
            "value",
            "StartSnapshot.Tags.1 has no parameter value",
        ),
    ] {
        let found = start(&right.replacen(from, to, 1)).unwrap_or_default();
        assert!(found.contains(said), "{from} → {to}: {found}");
    }
}

#[test]
fn a_wrong_header_is_named() {
    if !models_available() {
        return;
    }
    let headers = |target: &str, kind: &str| {
        BTreeMap::from([
            ("x-amz-target".to_owned(), target.to_owned()),
            ("content-type".to_owned(), kind.to_owned()),
        ])
    };
    let kind = "application/x-amz-json-1.1";
    let ssm =
        |target: &str, body: &str| violation("POST", "/", &headers(target, kind), body.as_bytes());
    assert_eq!(ssm("AmazonSSM.GetParameter", r#"{"Name":"/aws/x"}"#), None);
    let wrong = ssm("AmazonSSM.GetParameter", r#"{"Name":7}"#).unwrap();
    assert!(
        wrong.ends_with("GetParameter.Name is no string: 7"),
        "{wrong}"
    );
    let block = |length: &str, name: &str| {
        let checksum = BASE64_STANDARD.encode([0; 32]);
        let headers = [
            (name, length),
            ("x-amz-checksum", &checksum),
            ("x-amz-checksum-algorithm", "SHA256"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = BTreeMap::from(headers);
        violation("PUT", "/snapshots/snap-1/blocks/7", &headers, b"block").unwrap_or_default()
    };
    assert_eq!(block("5", "x-amz-data-length"), "");
    let said = block("five", "x-amz-data-length");
    assert!(
        said.contains("PutSnapshotBlock.DataLength is no integer"),
        "{said}"
    );
    let said = block("5", "x-amz-length");
    assert!(
        said.contains("has no header parameter x-amz-length"),
        "{said}"
    );
}

#[test]
fn the_double_refuses_what_the_model_does_not_know() {
    if !models_available() {
        return;
    }
    let double = AwsDouble::start();
    let endpoint = double.variables()[3].1.clone();
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let body = "Action=DeleteSnapshot&Version=2016-11-15&Snapshot=snap-1";
    write!(
        stream,
        "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    double.wait_until(|state| !state.mistakes.is_empty());
    let mistakes = std::mem::take(&mut double.state().mistakes);
    let said = "against AWS's model: DeleteSnapshot lacks SnapshotId";
    assert!(mistakes[0].contains(said), "{mistakes:?}");
}
