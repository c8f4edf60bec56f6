use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::machine::record::fixture;
use crate::machine::record::records;

/// A program that notes its calls; `scripts` is what it does by verb.
fn order(dir: &Path, scripts: &str) -> RentalRequest {
    let program = dir.join("rent");
    let text = format!("#!/bin/sh\necho \"$*\" >>calls\ncase $1 in\n{scripts}\nesac\n");
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    RentalRequest {
        lease: Duration::from_secs(1),
        ..fixture::order(dir, program.to_str().unwrap())
    }
}

fn calls(dir: &Path) -> Vec<String> {
    let calls = fs::read_to_string(dir.join("calls")).unwrap_or_default();
    calls.lines().map(str::to_owned).collect()
}

const CREATE_SCRIPT: &str = "create) echo host=me@pi; echo id=i-1; echo 'host-key=ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c' ;;";

/// Holds a machine until `is_enough`, and returns the reports.
async fn held(order: RentalRequest, is_enough: impl Fn() -> bool) -> (Option<Ended>, Vec<Report>) {
    let (here, there) = UnixStream::pair().unwrap();
    let (sender, mut queue) = mpsc::channel(QUEUE);
    let (read, _write) = there.into_split();
    let access = Access::default();
    let work = rent(order, &access, BufReader::new(read), Reports(sender));
    let close = async {
        let enough = async {
            while !is_enough() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = timeout(Duration::from_secs(20), enough).await;
        assert!(in_time.is_some(), "it does not come so far");
        drop(here);
    };
    let told = async {
        let mut told = Vec::new();
        while let Some(report) = queue.recv().await {
            told.push(report);
        }
        told
    };
    let (ended, (), told) = tokio::join!(Box::pin(work), close, told);
    (ended, told)
}

#[tokio::test]
async fn a_lease_is_extended_while_the_machine_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let order = order(dir.path(), CREATE_SCRIPT);
    let extended = || calls(dir.path()).len() >= 3;
    let (ended, told) = held(order, extended).await;
    assert_eq!(ended.unwrap().place.as_deref(), Some("me@pi"));
    assert!(
        matches!(&told[..], [Report::Made(..), Report::GivenBack(None)]),
        "{told:?}"
    );
    let calls = calls(dir.path());
    assert_eq!(
        (&calls[0], &calls[1]),
        (&"create".to_owned(), &"extend i-1".to_owned())
    );
    assert_eq!(calls.last().map(String::as_str), Some("destroy i-1"));
    assert_eq!(records(dir.path()), []);
}

#[tokio::test]
async fn an_unextended_lease_is_reported_if_somebody_offers_it() {
    let dir = tempfile::tempdir().unwrap();
    let scripts =
        format!("{CREATE_SCRIPT}\nextend) [ -e second ] && exit 64; touch second; exit 1 ;;");
    let order = order(dir.path(), &scripts);
    let start = std::time::Instant::now();
    let refused = || start.elapsed() > Duration::from_secs(3);
    let (_, told) = held(order, refused).await;
    let [
        Report::Made(..),
        Report::Warning(text),
        Report::GivenBack(_),
    ] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert!(text.contains("cannot extend the time limit"), "{text}");
    let calls = calls(dir.path());
    let extensions = calls.iter().filter(|call| *call == "extend i-1");
    assert_eq!(extensions.count(), 2, "not asked again: {calls:?}");
}

#[tokio::test]
async fn a_machine_that_is_kept_by_its_provider_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let scripts = format!("{CREATE_SCRIPT}\ndestroy) echo not now >&2; exit 1 ;;");
    let order = order(dir.path(), &scripts);
    let made = || !calls(dir.path()).is_empty();
    let (ended, told) = held(order, made).await;
    assert!(ended.is_none());
    assert!(matches!(told.last(), Some(Report::Kept(_))), "{told:?}");
    assert!(
        told.contains(&Report::Log("not now".to_owned())),
        "{told:?}"
    );
    let calls = calls(dir.path());
    let attempts = calls.iter().filter(|call| call.starts_with("destroy"));
    assert_eq!(attempts.count(), PAUSES.len() + 1);
    let record = records(dir.path()).remove(0);
    assert!(
        !record.is_held && record.kept_because.is_some(),
        "{record:?}"
    );
}
