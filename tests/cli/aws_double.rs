//! A double of EBS direct and EC2: it checks signatures, parameters (`aws_model` too), checksums and counts as the services document
//! them, keeps what it is told, and fails as it is asked to. What only AWS itself can show, it does not.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};

// With their paths, because two tiers of tests use this file.
#[path = "aws_double/ebs.rs"]
mod ebs;
#[path = "aws_double/form.rs"]
mod form;
#[path = "aws_double/http.rs"]
mod http;
#[path = "aws_double/images.rs"]
mod images;
#[path = "aws_double/instances.rs"]
pub mod instances;
#[path = "aws_double/machines.rs"]
pub mod machines;
#[path = "aws_double/signature.rs"]
mod signature;

use crate::support::Request;
use ebs::{complete, put, start};
use form::{action, ec2, form, get_parameter, refusal, service};
use http::{Reply, reply, serve};
use machines::Machines;
use signature::wrong_signature;

use crate::aws_model::violation;

/// The account's key, and its secret, which must be in no output.
pub const KEY_ID: &str = "AKIDEXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
pub const REGION: &str = "eu-central-1";
/// The one size of blocks.
pub const BLOCK: usize = 512 << 10;

/// What STS says about the user.
fn identity(account: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/tests</Arn><Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}

/// How the next calls fail.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Of so many blocks one is answered with each of: throttled, 500, and a connection that is cut.
    pub every: Option<usize>,
    /// Every call is answered with this status, code and message.
    pub refuse: Option<(u16, &'static str, &'static str)>,
    /// Calls of this name are answered with this code and message.
    pub refuse_call: Option<(&'static str, &'static str, &'static str)>,
    /// Calls of this name stop for ever after so many of them.
    pub hang_after: Option<(&'static str, usize)>,
    /// From the call with this number on (from 1) all calls stop for ever; that call itself is done before if it is so said.
    pub stop_at: Option<(usize, bool)>,
    /// So many of the next calls are answered with each of: 503, and a connection that is cut.
    pub unavailable: usize,
    pub cut: usize,
    /// So many of the next lists of images are empty: EC2 needs a moment to list what is new.
    pub late_lists: usize,
    /// In so many lists a snapshot is pending that is being completed.
    pub slow_completion: usize,
    /// So many removals of snapshots are refused because the image may use it that is gone.
    pub late_release: usize,
    /// The answer to the first call of this name is lost: the call is done, and the connection is cut.
    pub lose_answer_to: Option<&'static str>,
    /// How long each call takes.
    pub delay: std::time::Duration,
    /// Answers have this many bytes of nothing before the text.
    pub padding: usize,
    /// Lists of machines, volumes and groups have all of them, whichever were asked for.
    pub ignores_filters: bool,
}

/// A snapshot that was started.
#[derive(Clone, Debug, Default)]
pub struct StoredSnapshot {
    /// Its blocks: how often each was written, and its hash.
    pub blocks: BTreeMap<u64, (usize, Vec<u8>)>,
    /// `pending` or `completed`.
    pub state: String,
    /// Its region; every one if it is empty.
    pub region: String,
    token: String,
    /// In how many lists it is still pending, once its completion was asked for.
    completes_after: Option<usize>,
    gib: u64,
    /// When it was started.
    pub started: String,
    pub tags: Vec<(String, String)>,
}

/// What the account has.
#[derive(Debug, Default)]
pub struct AwsState {
    /// By id.
    pub snapshots: BTreeMap<String, StoredSnapshot>,
    /// The parameters with which each was registered, by id.
    pub images: BTreeMap<String, BTreeMap<String, String>>,
    /// Names of calls, in order.
    pub calls: Vec<String>,
    /// What a call had to have and had not.
    pub mistakes: Vec<String>,
    /// How calls fail.
    pub faults: Faults,
    /// Machines, and what belongs to them.
    pub machines: Machines,
    /// Whether new snapshots are encrypted.
    pub encrypts: bool,
    /// The account whose credentials the user has, if it is not the first one.
    pub account: Option<&'static str>,
    /// Each permission: the image or snapshot, and whose it is.
    pub shared: Vec<String>,
    /// By token: the image, region and name of a copy, and its id, which EC2 remembers when it is gone.
    copies: BTreeMap<String, (String, String)>,
    ids: usize,
}

impl AwsState {
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}-{:017x}", self.ids)
    }

    /// How often the call `name` was made.
    pub fn count(&self, name: &str) -> usize {
        self.calls.iter().filter(|call| *call == name).count()
    }
}

struct Shared {
    state: Mutex<AwsState>,
    changed: Condvar,
}

/// The server; it ends with the test's process.
pub struct AwsDouble {
    shared: Arc<Shared>,
    address: String,
}

impl AwsDouble {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { shared, address }
    }

    /// The variables with which AWS's tools use it.
    pub fn variables(&self) -> Vec<Refusal> {
        vec![
            ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("SDBUILD_OWN_ADDRESS_URL", format!("http://{}/checkip", self.address)),
        ]
    }

    /// What it has; to be changed as well.
    pub fn state(&self) -> std::sync::MutexGuard<'_, AwsState> {
        self.shared.state.lock().unwrap()
    }

    /// Waits until `condition` holds.
    pub fn wait_until(&self, condition: impl Fn(&AwsState) -> bool) {
        let limit = std::time::Duration::from_mins(1);
        let guard = self.state();
        let waited =
            self.shared.changed.wait_timeout_while(guard, limit, |state| !condition(state));
        assert!(!waited.unwrap().1.timed_out(), "it did not come to that");
    }
}

/// The answer; `None` cuts the connection.
fn answer(call: &Request, shared: &Shared) -> Option<Reply> {
    if call.target == "/checkip" {
        // Not a service with signatures.
        return Some(reply(200, format!("{}\n", machines::CALLER)));
    }
    let delay = shared.state.lock().unwrap().faults.delay;
    std::thread::sleep(delay);
    let mut state = shared.state.lock().unwrap();
    let mut form = form(call);
    let action = action(call, &form);
    form.insert(IN_REGION.to_owned(), region(call));
    state.calls.push(action.clone());
    if let Some(mistake) = violation(&call.method, &call.target, &call.headers, &call.body) {
        state.mistakes.push(mistake.clone());
        return Some(refusal(call, 400, "ValidationError", &mistake));
    }
    if let Some(mistake) = wrong_signature(call, service(call, &form)) {
        state.mistakes.push(format!("{action}: {mistake}"));
        return Some(refusal(call, 403, "SignatureDoesNotMatch", &mistake));
    }
    if let Some((status, code, message)) = state.faults.refuse {
        return Some(refusal(call, status, code, message));
    }
    if let Some((_, code, message)) = state.faults.refuse_call.filter(|(name, ..)| *name == action)
    {
        return Some(refusal(call, 400, code, message));
    }
    if stops(&action, &state) {
        // The call itself is done before, if it is so said.
        if state.faults.stop_at == Some((state.calls.len(), true)) {
            carry_out(call, &action, &form, &mut state).ok();
        }
        drop(state);
        shared.changed.notify_all();
        std::thread::sleep(std::time::Duration::from_mins(10));
        return None;
    }
    if let Err(failed) = fail(call, &action, &mut state) {
        return failed;
    }
    let of_machines = ["DescribeInstances", "DescribeVolumes", "DescribeSecurityGroups"];
    if state.faults.ignores_filters && of_machines.contains(&action.as_str()) {
        form.retain(|name, _| !name.starts_with("Filter."));
    }
    let done = carry_out(call, &action, &form, &mut state);
    if state.faults.lose_answer_to == Some(action.as_str()) {
        state.faults.lose_answer_to = None;
        return None;
    }
    let mut reply = done.unwrap_or_else(|(code, message)| {
        if !machines::NO_MISTAKES.contains(&code) {
            state.mistakes.push(format!("{action}: {code}: {message}"));
        }
        // What AWS calls an error of its own.
        let status = if code.ends_with("Capacity") { 500 } else { 400 };
        refusal(call, status, code, &message)
    });
    reply.body.insert_str(0, &" ".repeat(state.faults.padding));
    Some(reply)
}

/// Whether the last call waits for an answer until its process ends.
fn stops(action: &str, state: &AwsState) -> bool {
    let faults = &state.faults;
    let hangs = faults.hang_after;
    hangs.is_some_and(|(name, after)| name == action && state.count(name) > after)
        || faults.stop_at.is_some_and(|(at, _)| state.calls.len() >= at)
}

/// How a call fails, if it does: with an answer or a connection that is cut.
fn fail(call: &Request, action: &str, state: &mut AwsState) -> Result<(), Option<Reply>> {
    let faults = &mut state.faults;
    if faults.unavailable > 0 {
        faults.unavailable -= 1;
        let text = "try again";
        return Err(Some(refusal(call, 503, "ServiceUnavailable", text)));
    }
    if faults.cut > 0 {
        faults.cut -= 1;
        return Err(None);
    }
    let Some(every) = faults.every.filter(|_| action == "PutSnapshotBlock") else {
        return Ok(());
    };
    let refused = |status, code| Err(Some(refusal(call, status, code, "try again")));
    match state.count(action) % every {
        0 => refused(400, "RequestThrottledException"),
        1 => refused(500, "InternalServerException"),
        2 => Err(None),
        _ => Ok(()),
    }
}

fn carry_out(call: &Request, action: &str, form: &Form, state: &mut AwsState) -> Done {
    match action {
        "StartSnapshot" => start(call, state),
        "PutSnapshotBlock" => put(call, state),
        "CompleteSnapshot" => complete(call, state),
        "GetParameter" => get_parameter(call),
        "GetCallerIdentity" => {
            let account = state.account.unwrap_or("123456789012");
            Ok(reply(200, identity(account)))
        }
        _ => ec2(action, form, state),
    }
}

/// The parameters of a call.
pub(crate) type Form = BTreeMap<String, String>;
/// AWS's name of an error, and its words.
pub(crate) type Refusal = (&'static str, String);
type Done = Result<Reply, Refusal>;

/// The key with which the region of a call is kept among its parameters.
pub const IN_REGION: &str = " region";

/// The key with which a state is kept that an image has for good, such as `failed`.
pub const STATE: &str = " state";

/// The region that a call is signed for.
fn region(call: &Request) -> String {
    let scope = call.headers.get("authorization");
    let region = scope.and_then(|scope| scope.split('/').nth(2));
    region.unwrap_or_default().to_owned()
}

fn invalid<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(("ValidationException", what.into()))
}
