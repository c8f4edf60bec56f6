//! Signs and sends requests, and repeats what may succeed the next time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use roxmltree::{Document, Node, ParsingOptions};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::untrusted;
use sdbuild_engine::artifact::{http_client, reason as reason_of};
use serde_json::Value;

use crate::aws::credentials::Account;
use crate::aws::ec2::Tag;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a whole call may take: a block of 512 KiB on a slow line.
const CALL_TIMEOUT: Duration = Duration::from_mins(2);
/// The largest answer in bytes. The longest is a list of images.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// The longest list in bytes of its answers.
const MAX_LIST_BYTES: usize = 16 << 20;
/// Elements and texts of an answer; each takes some 70 bytes of memory.
const MAX_NODES: u32 = 200_000;
/// Attributes of an element. AWS's have one at most, a namespace in the outermost: the time to read them grows with their square.
const MAX_ATTRIBUTES: usize = 16;
/// Attempts for each call before it fails.
const TRIES: u32 = 10;
/// The same for what is read without a signature.
const GET_TRIES: u32 = 4;
/// The pause before the second try; it doubles before each further one, up to the longest.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// Most messages about repeated calls in one run.
const BETWEEN_WORDS: Duration = Duration::from_secs(3);
/// Errors that say that there were too many calls, of both services.
const RETRYABLE_CODES: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "EC2ThrottledException",
    "ConcurrentLimitExceededException",
    "InternalError",
];

/// Sends calls to the services of one account and region.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    pub(super) account: Account,
    cancel: Cancel,
    /// Where notices about repeated calls go.
    events: Events,
    /// The time of the last such notice; copies share it.
    last_notice: Arc<Mutex<Option<Instant>>>,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) service: &'static str,
    /// Its name, for messages.
    pub(super) action: &'static str,
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// Whether the signature covers the body.
    pub(super) signs_body: bool,
}

/// A successful answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Client {
    /// A client for `account` that trusts the certificate authorities in the PEM file `authorities` too, and gives up when `cancel`
    /// is set.
    pub fn new(account: Account, authorities: &[u8], cancel: &Cancel) -> Result<Self, Failure> {
        let http = http_client(authorities, |builder| {
            builder
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(CALL_TIMEOUT)
                // The services do not redirect, and a signature is valid for one host only.
                .redirect(reqwest::redirect::Policy::none())
        });
        Ok(Self {
            http: http.or_environment("prepare calls of AWS")?,
            account,
            cancel: cancel.clone(),
            events: Events::none(),
            last_notice: Arc::default(),
        })
    }

    /// The same client, which reports repeated calls to `events`.
    #[must_use]
    pub fn with_events(self, events: &Events) -> Self {
        let events = events.clone();
        Self { events, ..self }
    }

    /// The same account in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self {
            account: self.account.in_region(region),
            ..self.clone()
        }
    }

    /// The region that it calls.
    pub fn region(&self) -> &str {
        &self.account.region
    }

    /// Waits for `time`.
    pub(super) async fn pause(&self, time: Duration) -> Result<(), Error> {
        let paused = self.cancel.race(tokio::time::sleep(time)).await;
        paused.map_err(|_| Error::Interrupted)
    }

    /// Sends `call` until it succeeds, or fails for good.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let place = format!("{}.{}", call.service, self.region());
        self.repeated(&place, TRIES, async || self.attempt(call).await)
            .await
    }

    /// The text at `url`, which everybody may read; some attempts.
    pub(super) async fn get(&self, action: &'static str, url: &str) -> Result<String, Error> {
        let attempt = async || {
            let request = self.http.get(url).build();
            let request = request.map_err(|error| {
                let what = error.without_url().to_string();
                Error::Unexpected { action, what }
            })?;
            let (status, _, body) = self.exchange(action, request).await?;
            if status.is_success() {
                return Ok(body);
            }
            let why = format!("HTTP {}", status.as_u16());
            Err(Error::Unreachable { action, why })
        };
        self.repeated(action, GET_TRIES, attempt).await
    }

    /// What `attempt` returns, which is made up to `tries` times while it fails for now. `place` is asked.
    async fn repeated<T>(
        &self,
        place: &str,
        tries: u32,
        attempt: impl AsyncFn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (mut pause, mut next) = (RETRY_PAUSE, 2);
        loop {
            let made = self.cancel.race(attempt()).await;
            match made.map_err(|_| Error::Interrupted)? {
                Err(error) if error.is_temporary() && next <= tries => {
                    self.tell(&error, place, next, tries);
                }
                made => return made,
            }
            self.pause(pause.mul_f64(jitter())).await?;
            pause = LONGEST_PAUSE.min(pause * 2);
            next += 1;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, Error> {
        let request = self.signed(call)?;
        let (status, headers, body) = self.exchange(call.action, request).await?;
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        let body = without_secrets(body, &self.account.credentials);
        let (code, message) = reason(&headers, &body).unwrap_or_else(|| {
            (
                format!("HTTP {}", status.as_u16()),
                "no details given".to_owned(),
            )
        });
        let is_temporary = (status.is_server_error() && !is_about_capacity(&code))
            || status == StatusCode::TOO_MANY_REQUESTS
            || RETRYABLE_CODES.contains(&code.as_str());
        Err(Error::Refused {
            action: call.action,
            code,
            message,
            is_temporary,
        })
    }

    /// Sends one request, and reads the answer.
    async fn exchange(
        &self,
        action: &'static str,
        request: reqwest::Request,
    ) -> Result<(StatusCode, HeaderMap, String), Error> {
        let failed = |error: reqwest::Error| {
            // Without the address, which is in the message already.
            let why = reason_of(&error.without_url());
            Error::Unreachable { action, why }
        };
        let mut response = self.http.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&part);
            if body.len() > MAX_ANSWER_BYTES {
                let what = format!("more than {MAX_ANSWER_BYTES} bytes");
                return Err(Error::Unexpected { action, what });
            }
        }
        Ok((status, headers, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The request of `call` with its signature, which is valid for minutes.
    fn signed(&self, call: &Call) -> Result<reqwest::Request, Error> {
        let account = &self.account;
        let bug = |what: &dyn std::fmt::Display| Error::Unexpected {
            action: call.action,
            what: what.to_string(),
        };
        let url = format!("{}{}", account.address(call.service), call.target);
        let identity = account.credentials.clone().into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&account.region)
            .name(call.service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| bug(&error))?;
        let body = if call.signs_body {
            SignableBody::Bytes(&call.body)
        } else {
            SignableBody::UnsignedPayload
        };
        let headers = call
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(call.method.as_str(), &url, headers, body);
        let signable = signable.map_err(|error| bug(&error))?;
        let signed = sign(signable, &params.into()).map_err(|error| bug(&error))?;
        let (instructions, _) = signed.into_parts();
        let mut request = self.http.request(call.method.clone(), &url);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        for (name, value) in instructions.headers() {
            let mut value = HeaderValue::from_str(value).map_err(|error| bug(&error))?;
            // The session token is among them.
            value.set_sensitive(true);
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| bug(&error))?;
            request = request.header(name, value);
        }
        request
            .body(call.body.clone())
            .build()
            .map_err(|error| bug(&error.without_url()))
    }

    /// Tells that a call of `place` failed with `error` and is tried for the `next` time. AWS throttles and fails now and then, which is worth no
    /// word before the fourth try; and of many calls at a time one word in some seconds is enough.
    fn tell(&self, error: &Error, place: &str, next: u32, tries: u32) {
        let what = match error {
            Error::Refused { .. } if next < 4 => return,
            Error::Refused { code, .. } => format!("{place} answers {code}"),
            Error::Unreachable { why, .. } => format!("no answer from {place} ({why})"),
            Error::Unexpected { .. } | Error::Interrupted => return,
        };
        let now = Instant::now();
        // A thread that panicked with the lock has written nothing else.
        let mut last = self
            .last_notice
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.duration_since(last) < BETWEEN_WORDS) {
            return;
        }
        *last = Some(now);
        self.events.notice(format!("{what}, try {next} of {tries}"));
    }
}

impl Account {
    /// Where the service `service` is, without a path.
    fn address(&self, service: &str) -> String {
        if let Some(endpoint) = &self.endpoint {
            return endpoint.trim_end_matches('/').to_owned();
        }
        let region = &self.region;
        // The partition of China has a domain of its own.
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        format!("https://{service}.{region}.amazonaws.com{suffix}")
    }
}

/// `text` of AWS, which may quote what was signed, without the secrets of `credentials`.
fn without_secrets(text: String, credentials: &Credentials) -> String {
    let secrets = [
        Some(credentials.secret_access_key()),
        credentials.session_token(),
    ];
    let secrets = secrets
        .into_iter()
        .flatten()
        .filter(|secret| !secret.is_empty());
    secrets.fold(text, |text, secret| text.replace(secret, "***"))
}

/// AWS's name of an error and its words: in a header and JSON from EBS, in XML from EC2.
fn reason(headers: &HeaderMap, body: &str) -> Option<(String, String)> {
    if let Ok(json) = untrusted::json::<Value>(body) {
        let header = headers
            .get("x-amzn-errortype")
            .and_then(|value| value.to_str().ok());
        let code = header.or_else(|| json.get("__type")?.as_str())?;
        // `com.amazonaws…#Name:http://…` in some services.
        let code = code.split(':').next()?.rsplit('#').next()?;
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        let message = text("Message")
            .or_else(|| text("message"))
            .unwrap_or_default();
        return Some((code.to_owned(), message));
    }
    let document = document(body).ok()?;
    let text = |name: &str| {
        let found = document
            .descendants()
            .find(|node| node.has_tag_name(name))?;
        Some(found.text().unwrap_or_default().to_owned())
    };
    Some((text("Code")?, text("Message").unwrap_or_default()))
}

/// Whether AWS has not enough machines, which it reports as an error of its own: a moment later there are no more of them.
fn is_about_capacity(code: &str) -> bool {
    code.starts_with("Insufficient") && code.ends_with("Capacity")
}

/// A factor from 0.5 to 1, so that many calls do not come back at once.
fn jitter() -> f64 {
    let mut byte = [0];
    // Without randomness every pause is the longest one.
    let drawn = getrandom::fill(&mut byte).map_or(255, |()| byte[0]);
    0.5 + f64::from(drawn) / 510.0
}

/// The request for the address from which AWS sees this machine, as messages name it.
pub(super) const OWN_ADDRESS: &str = "the request for this machine's public address";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service answered with an error.
    #[error("AWS refused {action}: {message} ({code})")]
    Refused {
        /// The name of the call.
        action: &'static str,
        /// AWS's name of the error.
        code: String,
        /// AWS's words.
        message: String,
        /// Whether the same call may succeed in a moment.
        is_temporary: bool,
    },
    /// No answer, after all attempts.
    #[error("AWS does not answer {action}: {why}")]
    Unreachable {
        /// The name of the call.
        action: &'static str,
        /// What happened to the last attempt.
        why: String,
    },
    /// An answer that the call's documentation does not allow.
    #[error("unexpected response from AWS to {action}: {what}")]
    Unexpected {
        /// The name of the call.
        action: &'static str,
        /// What was in the answer, or was not.
        what: String,
    },
    /// The user ended the run.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether AWS refused with the error `code`.
    pub fn has_code(&self, expected: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == expected)
    }

    /// Whether the account has no such image or snapshot, or no longer.
    pub fn is_gone(&self) -> bool {
        const CODES: [&str; 3] = [
            "InvalidAMIID.NotFound",
            "InvalidAMIID.Unavailable",
            "InvalidSnapshot.NotFound",
        ];
        matches!(self, Self::Refused { code, .. } if CODES.contains(&code.as_str()))
    }

    fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { is_temporary, .. } => *is_temporary,
            Self::Unexpected { .. } | Self::Interrupted => false,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unexpected { action, .. } if *action == OWN_ADDRESS => {
                Some("a proxy or login page of this network answers instead of AWS")
            }
            Self::Unreachable { .. } => Some(
                "check the network, and that the region exists (--region, or --on aws:region=NAME)",
            ),
            Self::Refused { code, message, .. } => {
                let is_it = |(codes, words, _): &&(&[&str], &str, &str)| {
                    (codes.is_empty() || codes.contains(&code.as_str())) && message.contains(words)
                };
                HINTS.iter().find(is_it).map(|(_, _, hint)| *hint)
            }
            Self::Unexpected { .. } | Self::Interrupted => None,
        }
    }
}

const WRONG_CLOCK: &str =
    "this machine's clock is wrong; set it, for instance with timedatectl set-ntp true";

/// Codes of AWS's errors, of which none stands for all, a part of AWS's words, and what to do. The first row that fits counts.
const HINTS: [(&[&str], &str, &str); 10] = [
    (&[], "Signature expired", WRONG_CLOCK),
    (&[], "not yet current", WRONG_CLOCK),
    // `RequestExpired` is EC2's name, also for a wrong clock.
    (
        &["RequestExpired", "ExpiredToken", "ExpiredTokenException"],
        "",
        "the credentials have expired (log in again, for instance with aws sso login), or this machine's clock is wrong",
    ),
    (
        &[
            "AuthFailure",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
        ],
        "",
        "the access key or its secret is wrong; test them with aws sts get-caller-identity",
    ),
    (
        &[
            "UnauthorizedOperation",
            "AccessDenied",
            "AccessDeniedException",
        ],
        "",
        "the account's policy lacks the permission for this. Allow it there, or use another account",
    ),
    (
        &["AuthFailure.ServiceLinkedRoleCreationNotPermitted"],
        "",
        "the first spot instance of an account needs a role. Somebody with more permissions must run, once: aws iam \
         create-service-linked-role --aws-service-name spot.amazonaws.com",
    ),
    (
        &["VPCIdNotSpecified", "DefaultVpcDoesNotExist"],
        "",
        "the region has no default network; make one with aws ec2 create-default-vpc",
    ),
    (
        &["OperationNotPermitted"],
        "block public access",
        "the account blocks public images in this region: name accounts (--share 123456789012), or, if all your images may become \
         public, aws ec2 disable-image-block-public-access",
    ),
    (
        &["InvalidAMIName.Duplicate"],
        "",
        "choose another name: --name",
    ),
    (
        &["OptInRequired"],
        "",
        "enable the region in the account's settings, or take another one (--region, or --on aws:region=NAME)",
    ),
];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if matches!(error, Error::Interrupted) {
            return Self::interrupted();
        }
        let hint = error.hint();
        let failure = Self::new(Class::Environment, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// The version of EC2's API.
const EC2: &str = "2016-11-15";
/// The version of STS's API.
const STS: &str = "2011-06-15";

/// Names of parameters with their values.
pub(super) type Params = Vec<(String, String)>;

impl Client {
    /// A call of EC2; the answer is XML.
    pub(super) async fn query<T: AsRef<str>>(
        &self,
        action: &'static str,
        params: &[(T, T)],
    ) -> Result<String, Error> {
        self.send_form("ec2", EC2, action, params).await
    }

    /// A call of STS without parameters; the answer is XML.
    pub(super) async fn query_sts(&self, action: &'static str) -> Result<String, Error> {
        self.send_form::<&str>("sts", STS, action, &[]).await
    }

    async fn send_form<T: AsRef<str>>(
        &self,
        service: &'static str,
        version: &str,
        action: &'static str,
        params: &[(T, T)],
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
        untrusted::json(&body).map_err(|error| Error::Unexpected {
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

/// More pages of a list are not read: each has up to a thousand objects.
const MAX_PAGES: usize = 50;

impl Client {
    /// What `read` makes of each item of the list `set` that EC2 returns for `action`, of all pages.
    pub(super) async fn list<T>(
        &self,
        action: &'static str,
        mut params: Params,
        set: &str,
        read: impl Fn(Node<'_, '_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let (mut found, mut room) = (Vec::new(), MAX_LIST_BYTES);
        for _ in 0..MAX_PAGES {
            let body = self.query(action, &params).await?;
            room = room
                .checked_sub(body.len())
                .ok_or_else(|| Error::Unexpected {
                    action,
                    what: format!("more than {MAX_LIST_BYTES} bytes"),
                })?;
            found.extend(parsed(action, &body, set, &read)?);
            let Some(token) = descendant(&body, "nextToken") else {
                return Ok(found);
            };
            params.retain(|(name, _)| name != "NextToken");
            params.push(("NextToken".to_owned(), token));
        }
        let what = format!("more than {MAX_PAGES} pages");
        Err(Error::Unexpected { action, what })
    }
}

/// What `read` makes of each item of the list `set`.
fn parsed<T>(
    action: &'static str,
    body: &str,
    set: &str,
    read: &impl Fn(Node<'_, '_>) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let unexpected = |what: String| Error::Unexpected { action, what };
    let document = document(body).map_err(unexpected)?;
    let read = |item| {
        read(item).ok_or_else(|| unexpected(format!("an item of {set} lacks what each has")))
    };
    items(document.root_element(), set).map(read).collect()
}

/// The text of the first element `name`, at any depth.
pub(super) fn single(action: &'static str, body: &str, name: &str) -> Result<String, Error> {
    descendant(body, name).ok_or_else(|| Error::Unexpected {
        action,
        what: format!("no {name}"),
    })
}

/// The XML of an answer, which whoever answers in AWS's place may have made.
fn document(body: &str) -> Result<Document<'_>, String> {
    // No value of an attribute has a `<` in it.
    let attributes = |element: &str| {
        let values = element.split('=').skip(1);
        values
            .filter(|value| value.trim_start().starts_with(['"', '\'']))
            .count()
    };
    if body.matches("xmlns").count() > MAX_ATTRIBUTES
        || body
            .split('<')
            .any(|element| attributes(element) > MAX_ATTRIBUTES)
    {
        return Err("an element has too many attributes".to_owned());
    }
    let options = ParsingOptions {
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(body, options).map_err(|error| error.to_string())
}

fn descendant(body: &str, name: &str) -> Option<String> {
    let document = document(body).ok()?;
    let found = document
        .descendants()
        .find(|node| node.tag_name().name() == name)?;
    Some(found.text()?.to_owned())
}

pub(super) fn items<'a, 'b>(node: Node<'a, 'b>, set: &str) -> impl Iterator<Item = Node<'a, 'b>> {
    let set = child(node, set);
    set.into_iter().flat_map(|set| {
        set.children()
            .filter(|node| node.tag_name().name() == "item")
    })
}

pub(super) fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children()
        .find(|child| child.tag_name().name() == name)
}

pub(super) fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    Some(child(node, name)?.text()?.to_owned())
}

pub(super) fn tags(node: Node<'_, '_>) -> Vec<Tag> {
    let tag = |item| {
        Some(Tag {
            key: text(item, "key")?,
            value: text(item, "value").unwrap_or_default(),
        })
    };
    items(node, "tagSet").filter_map(tag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded() {
        let tag = "<i><key>a=\"b\"</key><value>x=1&amp;y='2'</value></i>".repeat(1000);
        assert!(document(&format!("<r xmlns=\"http://e\">{tag}</r>")).is_ok());
        let attributes = (0..1000).fold(String::new(), |all, n| all + &format!(" a{n} = '>'"));
        let spaces: String = attributes.replace(" a", " xmlns:a");
        for damaged in [
            format!("<r{attributes}/>"),
            format!("<r{spaces}/>"),
            "<a xmlns='b'>".repeat(1000),
            format!("<r>{}</r>", "<a/>".repeat(MAX_NODES as usize)),
        ] {
            document(&damaged).unwrap_err();
        }
    }

    #[test]
    fn what_aws_quotes_has_no_secrets() {
        let of = |token: Option<&str>| {
            let token = token.map(str::to_owned);
            Credentials::new("id", "secret", token, None, "test")
        };
        let text = || "id secret token".to_owned();
        assert_eq!(without_secrets(text(), &of(Some("token"))), "id *** ***");
        assert_eq!(without_secrets(text(), &of(None)), "id *** token");
    }
}
