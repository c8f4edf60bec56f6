//! How far the current phase is, in words that every view uses. Pure.

use crate::ui::state::{Activity, ActivityKind, Progress, State};
use crate::ui::words;
use sdbuild_core::event::Phase;

/// What the current phase has done, if it counts, and how long it took last time: `12 of 42 MB · 2.1 MB/s`, `built 3 of 62`.
pub(super) fn counts(state: &State) -> Option<String> {
    let (phase, _) = state.phase()?;
    let mut parts: Vec<String> = state.detail().map(str::to_owned).into_iter().collect();
    if phase == Phase::Build {
        parts.extend(nix(state));
    }
    // The bytes of container images are shares of sizes that are estimated until the archives are written: a percentage says that.
    let transfer = state.transfer();
    if let Some(transfer) = transfer.filter(|_| phase != Phase::ContainerImages) {
        parts.push(words::amount(transfer.done, transfer.total.unwrap_or(0)));
        parts.extend(words::rate(transfer.done, transfer.took));
    }
    let last = state.last_time().map(words::duration);
    parts.extend(last.map(|last| format!("last time {last}")));
    (!parts.is_empty()).then(|| parts.join(" · "))
}

fn nix(state: &State) -> Vec<String> {
    let counts = state.nix();
    let (mut parts, fetched, built) = (Vec::new(), counts.fetched, counts.built);
    if fetched.all > 0 {
        let Progress { done, all } = counts.downloaded;
        let amount = || words::amount(done.min(all), all);
        let bytes = (all > 0).then(|| format!(" ({})", amount()));
        let bytes = bytes.unwrap_or_default();
        parts.push(format!(
            "fetched {} of {}{bytes}",
            fetched.done, fetched.all
        ));
    }
    if built.all > 0 {
        let emulated = counts.emulated.filter(|n| *n > 0);
        let emulated = emulated.map(|n| match n {
            1 => " (1 needs emulation)".to_owned(),
            _ => format!(" ({n} need emulation)"),
        });
        let emulated = emulated.unwrap_or_default();
        parts.push(format!("built {} of {}{emulated}", built.done, built.all));
    }
    if parts.is_empty() && state.detail().is_none() {
        parts.push("evaluating the configuration".to_owned());
    }
    parts
}

/// What the current phase came to, for the line about its end: `41 MB`, `56 built, 3 emulated`.
pub(super) fn outcome(state: &State) -> Option<String> {
    let (phase, _) = state.phase()?;
    if let Some(detail) = state.detail() {
        return Some(detail.to_owned());
    }
    if phase != Phase::Build {
        return state.transfer().map(|t| words::human_bytes(t.done));
    }
    let counts = state.nix();
    let mut parts = Vec::new();
    if counts.fetched.done > 0 {
        let bytes = counts.downloaded.done;
        let bytes = (bytes > 0).then(|| format!(" ({})", words::human_bytes(bytes)));
        parts.push(format!(
            "{} fetched{}",
            counts.fetched.done,
            bytes.unwrap_or_default()
        ));
    }
    // What Nix expected to build includes derivations that it only looked at, so it says nothing at the end.
    let built = counts.built.done;
    if built > 0 {
        let emulated = counts.emulated.map_or(0, |n| n.min(built));
        let emulated = (emulated > 0).then(|| format!(", {emulated} of them emulated"));
        parts.push(format!("{built} built{}", emulated.unwrap_or_default()));
    }
    if parts.is_empty() {
        return Some("nothing to build".to_owned());
    }
    Some(parts.join(" · "))
}

/// The builds and then the downloads in progress, with how many there are of the same name: derivations for this machine and
/// for the board often have one name.
pub(super) fn listed(state: &State) -> Vec<(&Activity, usize)> {
    let of_kind = |kind| state.active().filter(move |activity| activity.kind == kind);
    let mut listed: Vec<(&Activity, usize)> = Vec::new();
    for activity in of_kind(ActivityKind::Build).chain(of_kind(ActivityKind::Fetch)) {
        let what = verb(activity);
        let same = listed
            .iter_mut()
            .find(|(known, _)| known.name == activity.name && verb(known) == what);
        match same {
            Some((_, count)) => *count += 1,
            None => listed.push((activity, 1)),
        }
    }
    listed
}

/// The name of `count` derivations or store paths: `bash-5.2`, `2 × bash-5.2`.
pub(super) fn name(activity: &Activity, count: usize) -> String {
    match count {
        0 | 1 => activity.name.clone(),
        _ => format!("{count} × {}", activity.name),
    }
}

/// `building` or `fetching`.
pub(super) fn verb(activity: &Activity) -> &'static str {
    if is_download(activity) {
        "fetching"
    } else {
        "building"
    }
}

/// The bytes that an activity has downloaded, how far its current step is, or the last line of its log, on one line.
pub(super) fn last(activity: &Activity) -> Option<String> {
    match (activity.moved, &activity.last, &activity.step) {
        (Some(Progress { done, all }), ..) if is_download(activity) => {
            Some(words::amount(done, all))
        }
        (_, Some(last), _) => Some(last.split_whitespace().collect::<Vec<_>>().join(" ")),
        (_, None, Some(step)) => Some(step.words()),
        _ => None,
    }
}

/// Whether it is a store path that is fetched, or a derivation that so far only downloads.
fn is_download(activity: &Activity) -> bool {
    let silent = activity.phase.is_none() && activity.last.is_none() && activity.step.is_none();
    activity.kind == ActivityKind::Fetch || activity.moved.is_some() && silent
}
