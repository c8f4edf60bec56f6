//! A double of EBS direct and EC2: it checks signatures, parameters, checksums and counts as the services document them, keeps what it is
//! told, and fails as it is asked to. What only AWS itself can show, it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac};

/// The account's key, and its secret, which must be in no output.
pub const KEY_ID: &str = "AKIDEXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
pub const REGION: &str = "eu-central-1";
/// The one size of blocks.
pub const BLOCK: usize = 512 << 10;

/// How the next calls fail.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Of so many blocks one is answered with each of: throttled, 500, and a connection that is cut.
    pub every: Option<usize>,
    /// Every call is answered with this status, code and message.
    pub refuse: Option<(u16, &'static str, &'static str)>,
    /// Calls of this name stop for ever after so many of them.
    pub hang_after: Option<(&'static str, usize)>,
    /// The answer to the first call of this name is lost: the call is done, and the connection is cut.
    pub lose_answer_to: Option<&'static str>,
    /// How long each call takes.
    pub delay: std::time::Duration,
    /// Answers have this many bytes of nothing before the text.
    pub padding: usize,
}

/// A snapshot that was started.
#[derive(Clone, Debug, Default)]
pub struct StoredSnapshot {
    /// Its blocks: how often each was written, and its hash.
    pub blocks: BTreeMap<u64, (usize, Vec<u8>)>,
    /// `pending` or `completed`.
    pub state: String,
    token: String,
    gib: u64,
    tags: Vec<(String, String)>,
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
    ids: usize,
}

impl AwsState {
    fn id(&mut self, prefix: &str) -> String {
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

struct Call {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl AwsDouble {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
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
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
        ]
    }

    /// What it has; to be changed as well.
    pub fn state(&self) -> std::sync::MutexGuard<'_, AwsState> {
        self.shared.state.lock().unwrap()
    }

    /// Waits until `condition` holds.
    pub fn wait_until(&self, condition: impl Fn(&AwsState) -> bool) {
        let limit = std::time::Duration::from_secs(60);
        let guard = self.state();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(guard, limit, |state| !condition(state));
        assert!(!waited.unwrap().1.timed_out(), "it did not come to that");
    }
}

fn serve(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(call) = read_call(&mut reader) {
        let reply = answer(&call, shared);
        shared.changed.notify_all();
        let Some(reply) = reply else {
            stream.shutdown(std::net::Shutdown::Both).ok();
            return;
        };
        let mut head = format!(
            "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
            reply.status,
            reply.body.len()
        );
        for (name, value) in &reply.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let mut out = stream;
        if out
            .write_all(format!("{head}\r\n{}", reply.body).as_bytes())
            .is_err()
        {
            return;
        }
    }
}

fn read_call(reader: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call {
        method,
        path,
        headers,
        body,
    })
}

/// The answer; `None` cuts the connection.
fn answer(call: &Call, shared: &Shared) -> Option<Reply> {
    let delay = shared.state.lock().unwrap().faults.delay;
    std::thread::sleep(delay);
    let mut state = shared.state.lock().unwrap();
    let form = form(call);
    let action = action(call, &form);
    state.calls.push(action.clone());
    if let Some(mistake) = wrong_signature(call) {
        state.mistakes.push(format!("{action}: {mistake}"));
        return Some(refusal(call, 403, "SignatureDoesNotMatch", &mistake));
    }
    if let Some((status, code, message)) = state.faults.refuse {
        return Some(refusal(call, status, code, message));
    }
    if let Some((name, after)) = state.faults.hang_after
        && name == action
        && state.count(name) > after
    {
        drop(state);
        shared.changed.notify_all();
        std::thread::sleep(std::time::Duration::from_secs(600));
        return None;
    }
    if let (Some(every), "PutSnapshotBlock") = (state.faults.every, action.as_str()) {
        match state.count("PutSnapshotBlock") % every {
            0 => return Some(refusal(call, 400, "RequestThrottledException", "slow down")),
            1 => return Some(refusal(call, 500, "InternalServerException", "try again")),
            2 => return None,
            _ => {}
        }
    }
    let done = match action.as_str() {
        "StartSnapshot" => start(call, &mut state),
        "PutSnapshotBlock" => put(call, &mut state),
        "CompleteSnapshot" => complete(call, &mut state),
        _ => ec2(&action, &form, &mut state),
    };
    if state.faults.lose_answer_to == Some(action.as_str()) {
        state.faults.lose_answer_to = None;
        return None;
    }
    let mut reply = done.unwrap_or_else(|(code, message)| {
        state.mistakes.push(format!("{action}: {code}: {message}"));
        refusal(call, 400, code, &message)
    });
    reply.body.insert_str(0, &" ".repeat(state.faults.padding));
    Some(reply)
}

fn action(call: &Call, form: &BTreeMap<String, String>) -> String {
    let name = match (call.method.as_str(), call.path.as_str()) {
        ("POST", "/") => return form.get("Action").cloned().unwrap_or_default(),
        ("POST", "/snapshots") => "StartSnapshot",
        ("POST", path) if path.starts_with("/snapshots/completion/") => "CompleteSnapshot",
        ("PUT", _) => "PutSnapshotBlock",
        _ => "unknown",
    };
    name.to_owned()
}

fn form(call: &Call) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&call.body)
        .into_owned()
        .collect()
}

fn refusal(call: &Call, status: u16, code: &str, message: &str) -> Reply {
    if call.path == "/" {
        let body = format!(
            "<?xml version=\"1.0\"?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
             <RequestID>1</RequestID></Response>"
        );
        return Reply {
            status,
            headers: Vec::new(),
            body,
        };
    }
    let headers = vec![("x-amzn-ErrorType".to_owned(), code.to_owned())];
    let body = serde_json::json!({ "Message": message }).to_string();
    Reply {
        status,
        headers,
        body,
    }
}

type Done = Result<Reply, (&'static str, String)>;

fn reply(status: u16, body: String) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body,
    }
}

fn invalid<T>(what: impl Into<String>) -> Result<T, (&'static str, String)> {
    Err(("ValidationException", what.into()))
}

fn start(call: &Call, state: &mut AwsState) -> Done {
    let json: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let known = [
        "VolumeSize",
        "ParentSnapshotId",
        "Tags",
        "Description",
        "ClientToken",
        "Encrypted",
        "KmsKeyArn",
        "Timeout",
    ];
    if let Some(other) = json
        .as_object()
        .and_then(|map| map.keys().find(|key| !known.contains(&key.as_str())))
    {
        return invalid(format!("{other} is no parameter"));
    }
    let (Some(gib @ 1..=65536), Some(10..=4320)) =
        (json["VolumeSize"].as_u64(), json["Timeout"].as_u64())
    else {
        return invalid("VolumeSize or Timeout");
    };
    let token = json["ClientToken"].as_str().unwrap_or_default().to_owned();
    let described = json["Description"].as_str().map_or(0, str::len);
    if token.is_empty() || token.len() > 255 || described > 255 {
        return invalid("ClientToken or Description");
    }
    let tag = |tag: &serde_json::Value| {
        Some((
            tag["Key"].as_str()?.to_owned(),
            tag["Value"].as_str()?.to_owned(),
        ))
    };
    let given = json["Tags"].as_array().cloned().unwrap_or_default();
    let tags: Option<Vec<_>> = given.iter().map(tag).collect();
    let Some(tags) = tags else {
        return invalid("Tags");
    };
    let before = state
        .snapshots
        .iter()
        .find(|(_, snapshot)| snapshot.token == token);
    let id = if let Some((id, _)) = before {
        id.clone()
    } else {
        let id = state.id("snap");
        let new = StoredSnapshot {
            token,
            gib,
            tags,
            state: "pending".into(),
            ..StoredSnapshot::default()
        };
        state.snapshots.insert(id.clone(), new);
        id
    };
    let started = serde_json::json!({ "SnapshotId": id, "BlockSize": BLOCK, "VolumeSize": gib, "Status": "pending" });
    Ok(reply(201, started.to_string()))
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn put(call: &Call, state: &mut AwsState) -> Done {
    let parts: Vec<&str> = call.path.split('/').collect();
    let (Some(id), Some(index)) = (
        parts.get(2),
        parts.get(4).and_then(|text| text.parse::<u64>().ok()),
    ) else {
        return invalid("path");
    };
    let header = |name: &str| call.headers.get(name).map_or("", String::as_str);
    let hash = sha256(&call.body);
    let stated = BASE64_STANDARD.encode(&hash);
    if call.body.len() != BLOCK || header("x-amz-data-length") != BLOCK.to_string() {
        return invalid("the block's length");
    }
    if header("x-amz-checksum") != stated || header("x-amz-checksum-algorithm") != "SHA256" {
        return invalid("the checksum");
    }
    let Some(snapshot) = state
        .snapshots
        .get_mut(*id)
        .filter(|snapshot| snapshot.state == "pending")
    else {
        return Err((
            "ResourceNotFoundException",
            "the snapshot is not pending".into(),
        ));
    };
    if index >= snapshot.gib * 2048 {
        return invalid("the block is outside the volume");
    }
    let entry = snapshot.blocks.entry(index).or_default();
    *entry = (entry.0 + 1, hash);
    let headers = vec![
        ("x-amz-checksum".to_owned(), stated),
        ("x-amz-checksum-algorithm".to_owned(), "SHA256".to_owned()),
    ];
    Ok(Reply {
        status: 201,
        headers,
        body: String::new(),
    })
}

fn complete(call: &Call, state: &mut AwsState) -> Done {
    let id = call.path.rsplit('/').next().unwrap_or_default();
    let Some(snapshot) = state.snapshots.get_mut(id) else {
        return Err(("ResourceNotFoundException", "no such snapshot".into()));
    };
    if snapshot.state != "pending" {
        return invalid("the snapshot is not pending");
    }
    let header = |name: &str| call.headers.get(name).map_or("", String::as_str);
    let all: Vec<u8> = snapshot
        .blocks
        .values()
        .flat_map(|(_, hash)| hash.clone())
        .collect();
    if header("x-amz-changedblockscount") != snapshot.blocks.len().to_string() {
        return invalid("the number of blocks");
    }
    let linear = header("x-amz-checksum-aggregation-method") == "LINEAR"
        && header("x-amz-checksum-algorithm") == "SHA256";
    if !linear || header("x-amz-checksum") != BASE64_STANDARD.encode(sha256(&all)) {
        return invalid("the checksum of all blocks");
    }
    snapshot.state = "completed".into();
    Ok(reply(202, "{\"Status\":\"completed\"}".into()))
}

/// The parameters of each call; one that ends in a dot begins a list.
const PARAMETERS: [(&str, &[&str]); 9] = [
    ("DescribeImages", &["Owner.", "Filter."]),
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
    (
        "CopyImage",
        &[
            "SourceImageId",
            "SourceRegion",
            "Name",
            "ClientToken",
            "CopyImageTags",
        ],
    ),
    ("EnableImageDeprecation", &["ImageId", "DeprecateAt"]),
    ("DeregisterImage", &["ImageId"]),
    ("DeleteSnapshot", &["SnapshotId"]),
    ("DescribeRegions", &[]),
];

fn ec2(action: &str, form: &BTreeMap<String, String>, state: &mut AwsState) -> Done {
    let Some((_, known)) = PARAMETERS.iter().find(|(name, _)| *name == action) else {
        return Err(("InvalidAction", format!("there is no {action}")));
    };
    let is_known = |name: &str| {
        known.iter().any(|known| {
            known
                .strip_suffix('.')
                .map_or(name == *known, |list| name.starts_with(list))
        })
    };
    let others: BTreeSet<_> = form
        .keys()
        .filter(|name| !["Action", "Version"].contains(&name.as_str()) && !is_known(name))
        .collect();
    if form
        .get("Version")
        .is_none_or(|version| version != "2016-11-15")
        || !others.is_empty()
    {
        return Err(("UnknownParameter", format!("{others:?}")));
    }
    let body = carry_out(action, form, state)?;
    let text = format!(
        "<?xml version=\"1.0\"?><{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{body}</{action}Response>"
    );
    Ok(reply(200, text))
}

/// Does what `action` says, and returns what is in the answer.
fn carry_out(
    action: &str,
    form: &BTreeMap<String, String>,
    state: &mut AwsState,
) -> Result<String, (&'static str, String)> {
    let get = |name: &str| form.get(name).cloned().unwrap_or_default();
    Ok(match action {
        "DescribeImages" => images(form, state),
        "DescribeSnapshots" => snapshots(form, state),
        "RegisterImage" => {
            if state
                .images
                .values()
                .any(|image| image["Name"] == get("Name"))
            {
                return Err(("InvalidAMIName.Duplicate", "the name is taken".into()));
            }
            let snapshot = state
                .snapshots
                .get(&get("BlockDeviceMapping.1.Ebs.SnapshotId"));
            if snapshot.is_none_or(|snapshot| snapshot.state != "completed") {
                return Err(("InvalidSnapshot.NotFound", "no complete snapshot".into()));
            }
            let id = state.id("ami");
            state.images.insert(id.clone(), form.clone());
            format!("<imageId>{id}</imageId>")
        }
        "CopyImage" => {
            let id = state.id("ami");
            let tags = state
                .images
                .get(&get("SourceImageId"))
                .cloned()
                .unwrap_or_default();
            state.images.insert(id.clone(), tags);
            format!("<imageId>{id}</imageId>")
        }
        "DeregisterImage" => match state.images.remove(&get("ImageId")) {
            Some(_) => "<return>true</return>".into(),
            None => return Err(("InvalidAMIID.NotFound", "no such image".into())),
        },
        "DeleteSnapshot" => match state.snapshots.remove(&get("SnapshotId")) {
            Some(_) => "<return>true</return>".into(),
            None => return Err(("InvalidSnapshot.NotFound", "no such snapshot".into())),
        },
        _ => "<return>true</return>".into(),
    })
}

fn images(form: &BTreeMap<String, String>, state: &AwsState) -> String {
    let (filter, value) = (
        form["Filter.1.Name"].as_str(),
        form["Filter.1.Value.1"].as_str(),
    );
    let mut items = String::new();
    for (id, image) in &state.images {
        let tags: Vec<(String, String)> = (1..10)
            .filter_map(|n| {
                let part = |what: &str| {
                    image
                        .get(&format!("TagSpecification.1.Tag.{n}.{what}"))
                        .cloned()
                };
                Some((part("Key")?, part("Value")?))
            })
            .collect();
        let passes = match filter {
            "name" => image["Name"] == value,
            "image-id" => id == value,
            "tag-key" => tags.iter().any(|(key, _)| key == value),
            other => panic!("no filter {other}"),
        };
        if passes {
            write!(
                items,
                "<item><imageId>{id}</imageId><name>{}</name><imageState>available</imageState><architecture>{}</architecture>\
                 <creationDate>2026-11-23T00:00:00.000Z</creationDate><blockDeviceMapping><item><ebs><snapshotId>{}</snapshotId></ebs></item>\
                 </blockDeviceMapping>{}</item>",
                image["Name"], image["Architecture"], image["BlockDeviceMapping.1.Ebs.SnapshotId"], tag_set(&tags)
            )
            .unwrap();
        }
    }
    format!("<imagesSet>{items}</imagesSet>")
}

fn snapshots(form: &BTreeMap<String, String>, state: &AwsState) -> String {
    let (filter, value) = (&form["Filter.1.Name"], &form["Filter.1.Value.1"]);
    let mut items = String::new();
    for (id, snapshot) in &state.snapshots {
        let passes = match filter.as_str() {
            "snapshot-id" => id == value,
            "tag-key" => snapshot.tags.iter().any(|(key, _)| key == value),
            other => panic!("no filter {other}"),
        };
        if passes {
            let (status, tags) = (&snapshot.state, tag_set(&snapshot.tags));
            write!(
                items,
                "<item><snapshotId>{id}</snapshotId><status>{status}</status>{tags}</item>"
            )
            .unwrap();
        }
    }
    format!("<snapshotSet>{items}</snapshotSet>")
}

fn tag_set(tags: &[(String, String)]) -> String {
    let mut items = String::new();
    for (key, value) in tags {
        write!(items, "<item><key>{key}</key><value>{value}</value></item>").unwrap();
    }
    format!("<tagSet>{items}</tagSet>")
}

/// What is wrong with the signature (AWS Signature Version 4), which is computed anew.
fn wrong_signature(call: &Call) -> Option<String> {
    let header = |name: &str| call.headers.get(name).map_or("", String::as_str);
    let Some(rest) = header("authorization").strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Some("not signed".into());
    };
    let fields: BTreeMap<_, _> = rest
        .split(", ")
        .filter_map(|field| field.split_once('='))
        .collect();
    let scope: Vec<&str> = fields.get("Credential")?.split('/').collect();
    let service = if call.path == "/" { "ec2" } else { "ebs" };
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
    let canonical = format!(
        "{}\n{}\n\n{headers}\n{signed}\n{payload}",
        call.method, call.path
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{}\n{}",
        header("x-amz-date"),
        scope.get(1..)?.join("/"),
        hex::encode(sha256(canonical.as_bytes()))
    );
    let sign = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
            .as_ref()
            .to_vec()
    };
    let key = [*date, scope.get(2)?, service, "aws4_request"];
    let key = key
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| {
            sign(&key, part)
        });
    let right = hex::encode(sign(&key, &to_sign));
    (fields.get("Signature") != Some(&right.as_str())).then(|| "the signature".to_owned())
}
