//! The signatures of calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ring::{digest, hmac};

use super::{KEY_ID, REGION, SECRET};
use crate::support::Request;

pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// What is wrong with the signature (AWS Signature Version 4), which is computed anew.
pub(super) fn wrong_signature(call: &Request, service: &str) -> Option<String> {
    let header = |name: &str| call.headers.get(name).map_or("", String::as_str);
    let Some(rest) = header("authorization").strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Some("not signed".into());
    };
    let fields: BTreeMap<_, _> =
        rest.split(", ").filter_map(|field| field.split_once('=')).collect();
    let scope: Vec<&str> = fields.get("Credential")?.split('/').collect();
    let [KEY_ID, date, REGION | "us-east-1", found, "aws4_request"] = scope.as_slice() else {
        return Some(format!("the scope {scope:?}"));
    };
    if *found != service {
        return Some(format!("signed for {found}"));
    }
    let signed = fields.get("SignedHeaders")?;
    let payload = header("x-amz-content-sha256");
    let unsigned_block = payload == "UNSIGNED-PAYLOAD" && call.method == "PUT";
    if !unsigned_block && payload != hex::encode(sha256(&call.body)) {
        return Some("the hash of the body".into());
    }
    let mut headers = String::new();
    for name in signed.split(';') {
        writeln!(headers, "{name}:{}", header(name)).unwrap();
    }
    let canonical = format!("{}\n{}\n\n{headers}\n{signed}\n{payload}", call.method, call.target);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{}\n{}",
        header("x-amz-date"),
        scope.get(1..)?.join("/"),
        hex::encode(sha256(canonical.as_bytes()))
    );
    let sign = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let key = [*date, scope.get(2)?, service, "aws4_request"];
    let key = key.iter().fold(format!("AWS4{SECRET}").into_bytes(), |key, part| sign(&key, part));
    let right = hex::encode(sign(&key, &to_sign));
    (fields.get("Signature") != Some(&right.as_str())).then(|| "the signature".to_owned())
}
