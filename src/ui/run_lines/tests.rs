use super::*;

const PLAIN: Paint = Paint(false);

fn summary() -> RunSummary {
    RunSummary {
        configuration: "sd-card.nix".into(),
        system: "aarch64-linux".into(),
        engine: "Docker 28.5 on this machine".into(),
        nixpkgs: "26.05".into(),
    }
}

#[test]
fn header_breaks_between_its_parts() {
    let header = |form| header(&summary(), form, PLAIN);
    let version = env!("CARGO_PKG_VERSION");
    let one = format!(
        "sdbuild {version} · sd-card.nix → aarch64-linux · Docker 28.5 on this machine · nixpkgs 26.05"
    );
    assert_eq!(header(Form::Plain), std::slice::from_ref(&one));
    assert_eq!(header(Form::Columns(120)), [one, String::new()]);
    assert_eq!(
        header(Form::Columns(40)),
        [
            format!("sdbuild {version}"),
            "  sd-card.nix → aarch64-linux".into(),
            "  Docker 28.5 on this machine".into(),
            "  nixpkgs 26.05".into(),
            String::new(),
        ]
    );
    let long = RunSummary {
        nixpkgs: "/home/me/projects/cards/nixos/mini-nixpkgs".into(),
        ..summary()
    };
    let wide = super::header(&long, Form::Columns(200), PLAIN);
    assert_eq!(wide.len(), 2, "{wide:?}");
    let narrow = super::header(&long, Form::Columns(24), PLAIN);
    assert!(narrow.len() > 5, "{narrow:?}");
}

#[test]
fn phase_without_duration_has_no_line_on_a_terminal() {
    let phase_shown = |phase, millis, all, form| {
        let took = Duration::from_millis(millis);
        succeeded(phase, took, Some("41 MB"), all, form, PLAIN)
    };
    let shown = |millis, all, form| phase_shown(Phase::Fetch, millis, all, form);
    let columns = Form::Columns(40);
    assert!(shown(40, false, columns).is_empty());
    assert_eq!(shown(40, true, columns).len(), 1);
    assert_eq!(phase_shown(Phase::Verify, 40, false, columns).len(), 1);
    assert_eq!(
        shown(3400, false, columns),
        [" ✓ Downloads  41 MB               3.4 s"]
    );
    assert_eq!(
        shown(40, false, Form::Plain),
        ["Downloads: done in 0.0 s (41 MB)"]
    );
}

#[test]
fn outcome_without_room_stands_below_its_phase() {
    let shown = |columns| {
        let outcome = Some("QEMU 11.1.2, registered for this run");
        let (took, form) = (Duration::from_millis(500), Form::Columns(columns));
        succeeded(Phase::Emulation, took, outcome, false, form, PLAIN)
    };
    assert_eq!(
        shown(40),
        [
            " ✓ Emulation                      0.5 s",
            "     QEMU 11.1.2, registered for this",
            "     run",
        ]
    );
    assert_eq!(
        shown(60),
        [
            " ✓ Emulation                                          0.5 s",
            "                       QEMU 11.1.2, registered for this run",
        ]
    );
    assert_eq!(shown(80).len(), 1);
    for columns in 30..220 {
        for line in shown(columns) {
            assert!(measure_text_width(&line) <= columns, "{columns}: {line}");
        }
    }
}

fn done() -> ImageDone {
    ImageDone {
        path: "/pi/out/pi.img.zst".into(),
        shown: "out/pi.img.zst".into(),
        size: 1_100_000_000,
        raw_size: 3_400_000_000,
        raw: "on the card",
        sha256: "ab".into(),
        took: Duration::from_secs(401),
        is_booted_next: false,
        up_to_date: false,
        older: Vec::new(),
        path_follows: false,
        next: vec![
            ("sdbuild boot".into(), "see it start"),
            ("sdbuild flash".into(), "write it to a card"),
        ],
    }
}

#[test]
fn image_line_leaves_out_a_path_that_follows() {
    let path_follows = ImageDone {
        path_follows: true,
        ..done()
    };
    assert_eq!(
        image(&path_follows, Form::Plain, PLAIN),
        ["image: 1.1 GB, 3.4 GB on the card · 6 min 41 s, SHA-256 ab"]
    );
}

#[test]
fn a_long_name_of_an_image_breaks_behind_a_hyphen() {
    let long = ImageDone {
        shown: "nixos-kitchen-sd-card-26.05.mini-aarch64-linux.img.zst".into(),
        ..done()
    };
    assert_eq!(
        image(&long, Form::Columns(40), PLAIN)[1..3],
        [
            " ✓ nixos-kitchen-sd-card-26.05.mini-",
            "   aarch64-linux.img.zst",
        ]
    );
}

#[test]
fn image_is_followed_by_commands_to_go_on_with() {
    let done = done();
    assert_eq!(
        image(&done, Form::Columns(80), PLAIN),
        [
            "",
            " ✓ out/pi.img.zst · 1.1 GB, 3.4 GB on the card · 6 min 41 s",
            "   next  sdbuild boot    see it start",
            "         sdbuild flash   write it to a card",
        ]
    );
    assert_eq!(
        image(&done, Form::Columns(40), PLAIN),
        [
            "",
            " ✓ out/pi.img.zst",
            "   1.1 GB, 3.4 GB on the card",
            "   6 min 41 s",
            "   next  sdbuild boot",
            "           see it start",
            "         sdbuild flash",
            "           write it to a card",
        ]
    );
    let narrow = image(&done, Form::Columns(24), PLAIN);
    let purpose = ["           write it to", "           a card"];
    assert!(narrow.ends_with(&purpose.map(str::to_owned)), "{narrow:?}");
    let same = ImageDone {
        up_to_date: true,
        ..done.clone()
    };
    let hostile = ImageDone {
        shown: "a\u{1b}[2J.img".into(),
        next: vec![("sdbuild boot 'a\u{1b}[2J.img'".into(), "see it start")],
        ..done.clone()
    };
    let lines = image(&hostile, Form::Columns(80), PLAIN);
    assert!(!lines.concat().contains('\u{1b}'), "{lines:?}");
    let line = image(&same, Form::Columns(80), PLAIN).remove(1);
    assert!(
        line.ends_with("3.4 GB on the card · up to date · 6 min 41 s"),
        "{line}"
    );
    assert_eq!(
        image(&done, Form::Plain, PLAIN),
        ["image: out/pi.img.zst (1.1 GB, 3.4 GB on the card · 6 min 41 s, SHA-256 ab)"]
    );
}

#[test]
fn the_result_of_a_run_has_a_mark_and_fits() {
    let done = LastLine::Done("the image boots, and you can log in over SSH · 15 s".into());
    assert_eq!(
        last_lines(&done, 80, PLAIN),
        [" ✓ the image boots, and you can log in over SSH · 15 s"]
    );
    let rows = last_lines(&done, 40, PLAIN);
    assert_eq!(
        rows,
        [
            " ✓ the image boots, and you can log in",
            "   over SSH · 15 s"
        ]
    );
    assert!(last_text(&done).starts_with("the image boots"));
}

#[test]
fn images_that_stay_stand_below_the_new_one() {
    let one = (
        "nixos-old-26.05-aarch64-linux.img.zst".to_owned(),
        34_000_000,
    );
    let with = |older| ImageDone { older, ..done() };
    let lines = image(&with(vec![one.clone()]), Form::Columns(80), PLAIN);
    let named = "   an earlier image stays: nixos-old-26.05-aarch64-linux.img.zst (34 MB)";
    assert_eq!(lines[2], named);
    assert!(lines[3].starts_with("   next"), "{lines:?}");
    let plain = image(&with(vec![one.clone(); 2]), Form::Plain, PLAIN);
    let counted = "2 earlier images stay (68 MB): `sdbuild status`";
    assert_eq!(plain[1..], [counted]);
}
