//! How calls are written: as a form, for EC2 and STS, or as JSON, for other services.

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;

use super::client::{Call, Client};
use super::error::Error;

/// The version of EC2's API.
const EC2: &str = "2016-11-15";
/// The version of STS's API.
const STS: &str = "2011-06-15";

/// Names of parameters with their values.
pub(super) type Params = Vec<(String, String)>;

impl Client {
    /// A call of EC2; the answer is XML.
    pub(super) async fn query(
        &self,
        action: &'static str,
        params: &[(&str, &str)],
    ) -> Result<String, Error> {
        self.send_form("ec2", EC2, action, params).await
    }

    /// The same with names that were put together.
    pub(super) async fn query_list(
        &self,
        action: &'static str,
        params: &Params,
    ) -> Result<String, Error> {
        let params: Vec<_> = params
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        self.query(action, &params).await
    }

    /// A call of STS without parameters; the answer is XML.
    pub(super) async fn query_sts(&self, action: &'static str) -> Result<String, Error> {
        self.send_form("sts", STS, action, &[]).await
    }

    async fn send_form(
        &self,
        service: &'static str,
        version: &str,
        action: &'static str,
        params: &[(&str, &str)],
    ) -> Result<String, Error> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action)
            .append_pair("Version", version);
        form.extend_pairs(params);
        let content = "application/x-www-form-urlencoded; charset=utf-8";
        let call = Call {
            service,
            action,
            method: Method::POST,
            target: "/".to_owned(),
            headers: vec![("content-type", content.to_owned())],
            body: Bytes::from(form.finish()),
            signs_body: true,
        };
        Ok(self.send(&call).await?.body)
    }

    /// A call of a service that speaks JSON; `target` is its name there.
    pub(super) async fn query_json(
        &self,
        service: &'static str,
        target: &str,
        action: &'static str,
        parameters: &Value,
    ) -> Result<Value, Error> {
        let call = Call {
            service,
            action,
            method: Method::POST,
            target: "/".to_owned(),
            headers: vec![
                ("content-type", "application/x-amz-json-1.1".to_owned()),
                ("x-amz-target", format!("{target}.{action}")),
            ],
            body: Bytes::from(parameters.to_string()),
            signs_body: true,
        };
        let body = self.send(&call).await?.body;
        serde_json::from_str(&body).map_err(|error| Error::Unexpected {
            action,
            what: error.to_string(),
        })
    }
}

/// The outcome of a removal: what is gone already is removed.
pub(super) fn unless_gone(done: Result<String, Error>, code: &str) -> Result<(), Error> {
    match done {
        Err(error) if error.has_code(code) => Ok(()),
        other => other.map(drop),
    }
}
