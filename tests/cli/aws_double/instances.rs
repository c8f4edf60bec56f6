//! The machines themselves: how they start and end.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::machines::{IMAGE, Machines, StoredVolume, Tags, new_tags, passes, written};
use super::{AwsState, Form, Refusal};

/// A machine.
#[derive(Clone, Debug)]
pub struct StoredInstance {
    pub id: String,
    /// What it was started with.
    pub form: Form,
    pub state: &'static str,
    pub tags: Tags,
    volume: String,
    address: String,
    /// In how many lists it was in this state.
    looks: usize,
}

impl StoredInstance {
    pub fn parameter(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// For instance `c7g.xlarge/eu-central-1a`.
    pub fn place(&self) -> String {
        place(&self.form)
    }

    /// What cloud-init reads.
    pub fn user_data(&self) -> serde_json::Value {
        let bytes = BASE64_STANDARD.decode(self.parameter("UserData")).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        serde_json::from_str(text.strip_prefix("#cloud-config\n").unwrap()).unwrap()
    }

    /// Whether it switches itself off at the end of its lease, and is destroyed by that.
    pub fn ends_by_itself(&self) -> bool {
        let script = self.user_data()["bootcmd"][0][2].as_str().unwrap_or_default().to_owned();
        let is_live = matches!(self.state, "pending" | "running");
        is_live
            && script.contains("poweroff")
            && self.parameter("InstanceInitiatedShutdownBehavior") == "terminate"
    }
}

fn place(form: &Form) -> String {
    let get = |name: &str| form.get(name).map_or("", String::as_str);
    format!("{}/{}", get("InstanceType"), get("Placement.AvailabilityZone"))
}

pub(super) fn run(form: &Form, state: &mut AwsState) -> Result<String, Refusal> {
    let get = |name: &str| form.get(name).map_or("", String::as_str);
    if get("MinCount") != "1" || get("MaxCount") != "1" {
        return Err(("MissingParameter", "MinCount or MaxCount".into()));
    }
    let token = get("ClientToken");
    if token.len() > 64 {
        return Err(("InvalidParameterValue", "ClientToken".into()));
    }
    let before =
        state.machines.instances.values().find(|one| one.parameter("ClientToken") == token);
    if let Some(before) = before.filter(|_| !token.is_empty()) {
        if before.form != *form {
            return Err(("IdempotentParameterMismatch", token.into()));
        }
        return Ok(started(&before.id));
    }
    if get("ImageId") != IMAGE {
        return Err(("InvalidAMIID.NotFound", get("ImageId").into()));
    }
    if !state.machines.groups.contains_key(get("SecurityGroupId.1")) {
        return Err(("InvalidGroup.NotFound", get("SecurityGroupId.1").into()));
    }
    let user_data = BASE64_STANDARD.decode(get("UserData")).unwrap_or_default();
    if !user_data.starts_with(b"#cloud-config\n") || user_data.len() > 16 << 10 {
        return Err(("InvalidUserData.Malformed", "UserData".into()));
    }
    let missing = |place: &str| state.machines.missing.get(place).copied();
    if let Some(code) = missing(&place(form)).or_else(|| missing("*")) {
        return Err((code, format!("no {} is to be had", place(form))));
    }
    let (id, volume) = (state.id("i"), state.id("vol"));
    let tags = new_tags(form, "volume")?;
    let is_free = false;
    state.machines.volumes.insert(volume.clone(), StoredVolume { tags, is_free });
    let mut instance = StoredInstance {
        id: id.clone(),
        form: form.clone(),
        state: "pending",
        tags: new_tags(form, "instance")?,
        volume,
        address: "127.0.0.1".into(),
        looks: 0,
    };
    if let Some(address) = state.machines.hook.as_ref().and_then(|hook| hook(&instance, true)) {
        instance.address = address;
    }
    state.machines.instances.insert(id.clone(), instance);
    Ok(started(&id))
}

fn started(id: &str) -> String {
    format!(
        "<instancesSet><item><instanceId>{id}</instanceId><instanceState><name>pending</name></instanceState></item></instancesSet>"
    )
}

pub(super) fn describe(form: &Form, machines: &mut Machines) -> Result<String, Refusal> {
    let mut items = String::new();
    let ids: Vec<String> = machines.instances.keys().cloned().collect();
    for id in ids {
        advance(&id, machines);
        let instance = &machines.instances[&id];
        if !passes(form, &instance.tags)?
            || instance.looks <= machines.unseen && instance.state == "pending"
        {
            continue;
        }
        let (state, tags) = (instance.state, written(&instance.tags));
        let address = match state {
            "running" if !machines.is_private => {
                format!("<ipAddress>{}</ipAddress>", instance.address)
            }
            _ => String::new(),
        };
        write!(
            items,
            "<item><reservationId>r-1</reservationId><instancesSet><item><instanceId>{id}</instanceId>\
             <instanceState><code>16</code><name>{state}</name></instanceState>{address}\
             <stateReason><code>x</code><message>Server.{state}</message></stateReason>{tags}</item></instancesSet></item>"
        )
        .unwrap();
    }
    Ok(format!("<reservationSet>{items}</reservationSet>"))
}

/// A list is the time that passes.
fn advance(id: &str, machines: &mut Machines) {
    let (unseen, slow_end) = (machines.unseen, machines.slow_end);
    let instance = machines.instances.get_mut(id).unwrap();
    instance.looks += 1;
    let next = match instance.state {
        "pending" if instance.looks > unseen + 1 => {
            let lost = machines.lost_at_start.contains(&instance.place());
            if lost { "shutting-down" } else { "running" }
        }
        "shutting-down" if instance.looks > slow_end => "terminated",
        other => other,
    };
    if next == instance.state {
        return;
    }
    instance.state = next;
    instance.looks = 0;
    if next == "terminated" {
        if instance.parameter("BlockDeviceMapping.1.Ebs.DeleteOnTermination") == "true" {
            machines.volumes.remove(&instance.volume);
        }
        if let Some(hook) = &machines.hook {
            hook(instance, false);
        }
    }
}

pub(super) fn terminate(id: &str, machines: &mut Machines) -> Result<String, Refusal> {
    let Some(instance) = machines.instances.get_mut(id) else {
        return Err(("InvalidInstanceID.NotFound", id.to_owned()));
    };
    if instance.state != "terminated" {
        instance.state = "shutting-down";
        instance.looks = 0;
    }
    Ok(String::new())
}
