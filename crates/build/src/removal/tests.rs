use super::*;
use sdbuild_engine::{ContainerInfo, Role};

fn volume(name: &str, users: &[&str]) -> SizedVolume {
    let volume = VolumeInfo {
        name: name.to_owned(),
        users: users.iter().map(|&user| user.to_owned()).collect(),
        created: None,
    };
    SizedVolume { volume, size: None }
}

fn two_stores() -> EngineObjects {
    EngineObjects {
        volumes: vec![
            volume("sdbuild-store", &[]),
            volume("sdbuild-store-b", &["b"]),
        ],
        ..EngineObjects::default()
    }
}

#[test]
fn one_store_is_removed_alone_and_only_if_no_container_uses_it() {
    let mut objects = two_stores();
    restrict_to(&mut objects, "sdbuild-store").unwrap();
    assert_eq!(objects.volumes.len(), 1);
    let refused = |store| {
        restrict_to(&mut two_stores(), store)
            .unwrap_err()
            .to_string()
    };
    assert!(refused("sdbuild-store-b").contains("by the container b"));
    assert!(refused("sdbuild-store-c").contains("there is no store"));
}

#[test]
fn a_store_alone_leaves_what_else_runs_have_left() {
    let run: RunId = "0123456789ab".parse().unwrap();
    let ended = |role| ContainerInfo::of(role, &run);
    let user = Role::Builder.container_name(&run);
    let mut objects = EngineObjects {
        volumes: vec![volume("sdbuild-store", &[&user])],
        stale: StaleObjects {
            containers: vec![ended(Role::Builder), ended(Role::Registrar)],
            live_runs: BTreeSet::from(["ba9876543210".parse().unwrap()]),
            stale_runs: BTreeSet::from([run]),
            ..StaleObjects::default()
        },
        ..EngineObjects::default()
    };
    restrict_to(&mut objects, "sdbuild-store").unwrap();
    let stale = objects.stale;
    let [container] = &stale.containers[..] else {
        panic!("{stale:?}")
    };
    assert_eq!(container.name, user);
    assert_eq!(stale.live_runs.len(), 1);
    assert!(stale.stale_runs.is_empty(), "they would be forgotten");
}

#[test]
fn other_stores_are_kept_unless_everything_is_removed() {
    let left = |scope| {
        let mut objects = two_stores();
        let others = restrict(&mut objects, scope, "sdbuild-store").unwrap();
        (objects.volumes.len(), others)
    };
    let others = vec!["sdbuild-store-b".to_owned()];
    assert_eq!(left(RemovalScope::WithoutOtherStores), (1, others));
    assert_eq!(left(RemovalScope::All), (2, Vec::new()));
}
