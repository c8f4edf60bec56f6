//! Checks calls of AWS against the published models of its services: the `service-2.json` of botocore, which AWS's own tools are
//! made of. `scripts/setup --test` unpacks them.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::aws_double::AwsDouble;
use crate::support::*;

#[path = "aws_model/shapes.rs"]
mod shapes;
use shapes::Model;

/// The models below the directory of tools, by service.
const DIR: &str = "usr/lib/python3/dist-packages/botocore/data";
const SERVICES: [(&str, &str); 4] =
    [("ebs", "2019-11-02"), ("ec2", "2016-11-15"), ("ssm", "2014-11-06"), ("sts", "2011-06-15")];
/// Headers with this prefix that belong to the signature.
const SIGNATURE: [&str; 3] = ["x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];
/// How a violation begins.
pub const VIOLATION: &str = "against AWS's model: ";

type Checked = Result<(), String>;

/// What is wrong with a call by the model of its service, with the name of the parameter. The names of `headers` are in lower case.
/// Nothing where no models are, which the tests of this module report.
pub fn violation(
    method: &str,
    target: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> Option<String> {
    let request = Request { method, target, headers, body };
    let found = if models_available() { request.check() } else { Ok(()) };
    found.err().map(|what| format!("{VIOLATION}{what}"))
}

/// A call that violates the model fails its test, whatever sdbuild made of the answer.
impl Drop for AwsDouble {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let mistakes = self.state().mistakes.clone();
            let violations: Vec<_> =
                mistakes.iter().filter(|mistake| mistake.contains(VIOLATION)).collect();
            assert!(violations.is_empty(), "{violations:#?}");
        }
    }
}

/// Whether the models are unpacked.
pub fn models_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| tool_unpacked(&format!("{DIR}/ec2")))
}

/// The model of `service`, read once.
fn model(service: &str) -> &'static Value {
    static MODELS: [OnceLock<Value>; SERVICES.len()] = [const { OnceLock::new() }; SERVICES.len()];
    let at = SERVICES.iter().position(|(name, _)| *name == service).unwrap();
    MODELS[at].get_or_init(|| {
        let (name, version) = SERVICES[at];
        let path = root().join(TOOLS).join(format!("{DIR}/{name}/{version}/service-2.json"));
        // Debian packs them in some releases.
        if let Ok(plain) = std::fs::read(&path) {
            return serde_json::from_slice(&plain).unwrap();
        }
        let packed = File::open(path.with_extension("json.gz")).unwrap();
        serde_json::from_reader(flate2::read::GzDecoder::new(packed)).unwrap()
    })
}

struct Request<'a> {
    method: &'a str,
    target: &'a str,
    headers: &'a BTreeMap<String, String>,
    body: &'a [u8],
}

impl Request<'_> {
    fn check(&self) -> Checked {
        if self.target != "/" {
            return self.rest();
        }
        match self.headers.get("x-amz-target") {
            Some(target) => self.json(target),
            None => self.query(),
        }
    }

    /// The protocols of EC2 and STS: parameters in a form, lists as `Name.1`.
    fn query(&self) -> Checked {
        let mut tree = Map::new();
        for (key, value) in url::form_urlencoded::parse(self.body) {
            insert(&mut tree, &key, &value)?;
        }
        let mut take = |name: &str| match tree.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(format!("{name} is missing")),
        };
        let (action, version) = (take("Action")?, take("Version")?);
        let found = SERVICES.iter().find(|(_, of)| *of == version);
        let (service, _) = found.ok_or_else(|| format!("there is no Version {version}"))?;
        let model = Model::of(service);
        let shape = model.input(&action)?;
        model.structure(shape, &tree, &action)
    }

    /// The protocol of SSM: JSON, and the operation in a header.
    fn json(&self, target: &str) -> Checked {
        let model = Model::of("ssm");
        let prefix = model.metadata("targetPrefix");
        let action = target.strip_prefix(&format!("{prefix}."));
        let action = action.ok_or_else(|| format!("X-Amz-Target {target}"))?;
        let kind = self.headers.get("content-type").map_or("", String::as_str);
        if kind != "application/x-amz-json-1.1" {
            return Err(format!("{action}: the content type {kind}"));
        }
        let shape = model.input(action)?;
        model.structure(shape, &self.json_body()?, action)
    }

    fn json_body(&self) -> Result<Map<String, Value>, String> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        serde_json::from_slice(self.body).map_err(|error| format!("the body is no object: {error}"))
    }

    /// The protocol of EBS direct: parameters in address, headers and body.
    fn rest(&self) -> Checked {
        let model = Model::of("ebs");
        let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        let operations = model.model["operations"].as_object().unwrap();
        let found = operations.iter().find_map(|(name, operation)| {
            let http = &operation["http"];
            let uri = http["requestUri"].as_str()?;
            (http["method"] == self.method).then_some(())?;
            Some((name, labels(uri, path)?))
        });
        let (action, labels) =
            found.ok_or_else(|| format!("{} {path} is no operation", self.method))?;
        let shape = &model.model["shapes"][model.input(action)?];
        let members = shape["members"].as_object().unwrap();
        let mut given = Map::new();
        let mut take = |location: &str, name: &str, text: &str| {
            let (name, shape) = member_at(members, location, name, action)?;
            given.insert(name, model.typed(shape, text));
            Ok::<_, String>(())
        };
        for (name, text) in labels {
            take("uri", &name, &text)?;
        }
        for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
            take("querystring", &name, &text)?;
        }
        for (name, text) in self.headers {
            if name.starts_with("x-amz-") && !SIGNATURE.contains(&name.as_str()) {
                take("header", name, text)?;
            }
        }
        match shape["payload"].as_str() {
            Some(payload) if !self.body.is_empty() => {
                given.insert(payload.into(), BASE64_STANDARD.encode(self.body).into());
            }
            Some(_) => {}
            None => given.extend(self.json_body()?),
        }
        model.structure(model.input(action)?, &given, action)
    }
}

/// The member of a structure that is sent in `location` as `name`: its own name and its shape's.
fn member_at<'a>(
    members: &'a Map<String, Value>,
    location: &str,
    name: &str,
    action: &str,
) -> Result<(String, &'a str), String> {
    let is_it = |member: &Value| {
        let named = member["locationName"].as_str().unwrap_or_default();
        member["location"] == location && named.eq_ignore_ascii_case(name)
    };
    let found = members.iter().find(|(_, member)| is_it(member));
    let (name, member) =
        found.ok_or_else(|| format!("{action} has no {location} parameter {name}"))?;
    Ok((name.clone(), member["shape"].as_str().unwrap()))
}

/// The parts of `path` that the `{labels}` of the template `uri` stand for.
fn labels(uri: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (uri, path): (Vec<_>, Vec<_>) = (uri.split('/').collect(), path.split('/').collect());
    let mut found = Vec::new();
    (uri.len() == path.len()).then_some(())?;
    for (part, text) in uri.into_iter().zip(path) {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(label) => found.push((label.to_owned(), text.to_owned())),
            None => (part == text).then_some(())?,
        }
    }
    Some(found)
}

/// Puts `a.b.1 = value` into `tree`.
fn insert(tree: &mut Map<String, Value>, key: &str, value: &str) -> Checked {
    match key.split_once('.') {
        None => match tree.insert(key.to_owned(), value.into()) {
            None => Ok(()),
            Some(_) => Err(format!("{key} is there twice")),
        },
        Some((first, rest)) => {
            let branch = tree.entry(first).or_insert_with(|| Value::Object(Map::new()));
            let branch = branch.as_object_mut();
            insert(branch.ok_or_else(|| format!("{key} is there twice"))?, rest, value)
        }
    }
}
