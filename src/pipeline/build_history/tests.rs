use super::*;

/// A build that did as much, with derivations that took these times.
fn done(effort: BuildEffort, times: BuildTimes) -> Done {
    Done {
        effort,
        times,
        ..Done::default()
    }
}

/// Phases that took so many seconds.
fn phases<const N: usize>(seconds: [(Phase, u64); N]) -> PhaseTimes {
    PhaseTimes::from(seconds.map(|(phase, seconds)| (phase, seconds * 1000)))
}

fn key(configuration: &str) -> BuildKey {
    BuildKey {
        configuration: configuration.to_owned(),
        conditions: "here".to_owned(),
    }
}

#[test]
fn times_under_other_conditions_tell_nothing() {
    let state = tempfile::tempdir().unwrap();
    let rented = BuildKey {
        conditions: "rented".to_owned(),
        ..key("a")
    };
    let note = |key: &BuildKey, seconds| {
        let effort = BuildEffort {
            seconds,
            ..BuildEffort::default()
        };
        let times = BuildTimes::from([("etc".to_owned(), seconds.into())]);
        note(state.path(), key, done(effort, times)).unwrap();
    };
    note(&rented, 5);
    assert_eq!(
        earlier(state.path(), &key("a"), "zstd"),
        EarlierBuilds::default()
    );
    note(&key("a"), 90);
    let seconds = |key: &BuildKey| {
        earlier(state.path(), key, "zstd")
            .same
            .map(|same| same.seconds)
    };
    assert_eq!(seconds(&rented), Some(5));
    assert_eq!(seconds(&key("a")), Some(90));
    let of_other = earlier(state.path(), &key("b"), "zstd").others;
    assert_eq!(of_other.len(), 1);
    // As earlier versions wrote it.
    let old = r#"[{"configuration":"a","built":1,"downloaded":2,"seconds":3}]"#;
    std::fs::write(file(state.path()), old).unwrap();
    assert_eq!(seconds(&key("a")), None);
    assert_eq!(read(state.path()).unwrap().len(), 1);
}

#[test]
fn the_last_build_of_each_configuration_is_remembered() {
    let state = tempfile::tempdir().unwrap();
    let effort = |seconds| BuildEffort {
        built: 3,
        downloaded: 5,
        seconds,
    };
    let note_effort = |configuration: &str, effort| {
        let done = done(effort, BuildTimes::new());
        note(state.path(), &key(configuration), done).unwrap();
    };
    let last = |configuration| earlier(state.path(), &key(configuration), "zstd").same;
    assert_eq!(last("a"), None);
    for (configuration, seconds) in [("a", 1), ("b", 2), ("a", 3)] {
        note_effort(configuration, effort(seconds));
    }
    assert_eq!(last("a"), Some(effort(3)));
    assert_eq!(last("b"), Some(effort(2)));
    let of_new = earlier(state.path(), &key("c"), "zstd");
    assert_eq!(
        (of_new.same, of_new.others),
        (None, vec![effort(3), effort(2)])
    );
    for n in 0..2 * MAX_ENTRIES {
        note_effort(&n.to_string(), effort(1));
    }
    assert_eq!(read(state.path()).unwrap().len(), MAX_ENTRIES);
    for damaged in [b"damaged".as_slice(), b"\xff"] {
        std::fs::write(file(state.path()), damaged).unwrap();
        assert_eq!(last("a"), None);
        note_effort("a", effort(4));
        assert_eq!(last("a"), Some(effort(4)));
    }
}

#[test]
fn times_of_derivations_are_kept_until_they_are_built_again() {
    let state = tempfile::tempdir().unwrap();
    let times = |of: &[(&str, u64)]| -> BuildTimes {
        let owned = |(name, time): &(&str, u64)| ((*name).to_owned(), (*time).into());
        of.iter().map(owned).collect()
    };
    let note = |configuration: &str, of| {
        let effort = BuildEffort::default();
        note(state.path(), &key(configuration), done(effort, times(of))).unwrap();
    };
    note("a", &[("etc", 5), ("image", 70)]);
    note("b", &[("etc", 9)]);
    note("a", &[("image", 80)]);
    let known = |configuration| earlier(state.path(), &key(configuration), "zstd").times;
    assert_eq!(known("a"), times(&[("etc", 5), ("image", 80)]));
    // What it has not built is known from the newest other one that has.
    assert_eq!(known("b"), times(&[("etc", 9), ("image", 80)]));
    assert_eq!(known("c"), times(&[("etc", 5), ("image", 80)]));
    for n in 0..MAX_DETAILED {
        note(&n.to_string(), &[("etc", 1)]);
    }
    assert_eq!(known("a"), times(&[("etc", 1)]));
    assert!(earlier(state.path(), &key("a"), "zstd").same.is_some());
    let many: BuildTimes = (0..2 * MAX_NAMES as u64)
        .map(|n| (n.to_string(), n.into()))
        .collect();
    assert_eq!(with_times_before(many.clone(), many).len(), MAX_NAMES);
}

#[test]
fn the_last_boot_of_an_image_in_each_way_is_remembered() {
    let state = tempfile::tempdir().unwrap();
    let times = BuildTimes::from([("etc".to_owned(), 5.into())]);
    let built = done(BuildEffort::default(), times.clone());
    note(state.path(), &key("a"), built).unwrap();
    let of = |seconds| phases([(Phase::Boot, seconds), (Phase::PowerOff, 3)]);
    for n in 1..=100 {
        note_boot(state.path(), "pi.img", "virt", of(n)).unwrap();
        note_boot(state.path(), &format!("{n}.img"), "virt", of(1)).unwrap();
    }
    let last = |image, way| last_boot(state.path(), image, way);
    assert_eq!(last("pi.img", "virt"), of(100));
    assert_eq!(last("pi.img", "rpi3"), PhaseTimes::new());
    assert_eq!(last("new.img", "virt"), of(1), "the newest one");
    // Boots have no derivations, and builds keep theirs.
    assert_eq!(earlier(state.path(), &key("a"), "zstd").times, times);
}

/// A file in place of the directory: what is behind it cannot be read.
#[test]
fn a_history_that_cannot_be_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::write(&state, "").unwrap();
    assert!(read(&state).is_err());
    assert!(note(&state, &key("a"), Done::default()).is_err());
    assert_eq!(earlier(&state, &key("a"), "zstd").same, None);
}

#[test]
fn builds_and_downloads_are_counted() {
    let counter = EffortCounter::new();
    let events = counter.listen(&Events::none());
    let built = |done| NixEvent::Built {
        done,
        expected: 9,
        running: 1,
    };
    for event in [
        built(2),
        built(7),
        NixEvent::ToDownload { bytes: 40 },
        built(7),
    ] {
        events.emit(Event::Nix(event));
    }
    let (effort, _) = counter.so_far();
    assert_eq!((effort.built, effort.downloaded), (7, 40));
}

#[test]
fn phases_are_known_from_the_last_run_that_had_them() {
    let state = tempfile::tempdir().unwrap();
    let built = |phases| Done {
        phases,
        image: "pi.img".to_owned(),
        compression: "zstd".to_owned(),
        ..Done::default()
    };
    let first = phases([(Phase::ContainerImages, 4), (Phase::CopyOut, 30)]);
    note(state.path(), &key("a"), built(first)).unwrap();
    note(
        state.path(),
        &key("a"),
        built(phases([(Phase::CopyOut, 20)])),
    )
    .unwrap();
    note_boot(state.path(), "pi.img", "virt", phases([(Phase::Boot, 12)])).unwrap();
    note_boot(
        state.path(),
        "other.img",
        "virt",
        phases([(Phase::Boot, 99)]),
    )
    .unwrap();
    let known = |configuration| earlier(state.path(), &key(configuration), "zstd").phases;
    let all = [
        (Phase::ContainerImages, 4),
        (Phase::CopyOut, 20),
        (Phase::Boot, 12),
    ];
    assert_eq!(known("a"), phases(all));
    assert_eq!(known("b"), PhaseTimes::new(), "another configuration");
    let of_xz = earlier(state.path(), &key("a"), "xz").phases;
    let others = [all[0], all[2]];
    assert_eq!(of_xz, phases(others), "copied in another time");
}

/// Earlier versions noted the whole seconds of a boot, and no phases.
#[test]
fn a_history_of_an_earlier_version_is_read() {
    let state = tempfile::tempdir().unwrap();
    let old = r#"[{"configuration":"pi.img","conditions":"boot virt","built":0,"downloaded":0,"seconds":12,"times":{}},
        {"configuration":"a","conditions":"here","built":1,"downloaded":2,"seconds":3,"times":{"etc":5}}]"#;
    std::fs::write(file(state.path()), old).unwrap();
    assert_eq!(
        last_boot(state.path(), "pi.img", "virt"),
        phases([(Phase::Boot, 12)])
    );
    let earlier = earlier(state.path(), &key("a"), "zstd");
    assert_eq!(earlier.same.map(|same| same.seconds), Some(3));
    assert_eq!(earlier.phases, phases([(Phase::Boot, 12)]));
}
