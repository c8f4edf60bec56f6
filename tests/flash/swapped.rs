//! Disks and mounts that change while the user is asked, on loop devices, which need root.

use std::fs;
use std::path::{Path, PathBuf};

use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::Events;
use sdbuild_core::failure::Failure;
use sdbuild_image::flash;
use sdbuild_image::flash::{Allowed, FlashRequest, FlashSource, PreparedFlash, SharedWriteState};

use crate::card::{Card, MIB, assert_contains};
use crate::{have, image, needs, run};

fn context() -> Context {
    Context { cancel: Cancel::new(), events: Events::none() }
}

/// A flash of the card that waits for the user's answer.
fn prepare(card: &Card, unmount: bool) -> PreparedFlash {
    let request = FlashRequest {
        device: card.node.clone().into(),
        allowed: Allowed { fixed: true, unmount },
        verify: true,
        raw: false,
        arguments: String::new(),
    };
    let source = FlashSource::open(&card.at("a.img")).unwrap();
    flash::prepare(source, request, &context()).unwrap()
}

/// The user says yes.
fn answer(prepared: PreparedFlash) -> Result<(), Failure> {
    let state = SharedWriteState::new();
    let result = prepared.run(&context(), &state, None);
    result.map_err(|failure| state.add_to(failure, "flash"))
}

/// The mount point in the directory of the card.
fn point(card: &Card) -> PathBuf {
    let point = card.at("point");
    fs::create_dir_all(&point).unwrap();
    point.canonicalize().unwrap()
}

fn mount(node: &str, point: &Path) {
    run(&format!("mount {node} {}", point.display()), Path::new("/"));
}

fn unmount(point: &Path) {
    run(&format!("umount {}", point.display()), Path::new("/"));
}

fn is_mounted(point: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.contains(&format!(" {} ", point.display()))
}

#[test]
fn another_disk_with_the_same_name_is_refused() {
    let Some(card) = Card::new(32 * MIB) else { return };
    card.image("a.img");
    let prepared = prepare(&card, false);
    image(&card.at("other"), 32 * MIB, 7, &[(0, 32 << 20)]);
    let before = fs::read(card.at("other")).unwrap();
    card.replace("other");
    let text = answer(prepared).unwrap_err().to_string();
    assert_contains(&text, &["(nothing was written)", "is a different disk now"]);
    assert!(fs::read(card.at("other")).unwrap() == before);
}

/// The list of mounts was of before the question.
#[test]
fn another_disk_at_the_same_mount_point_stays_mounted() {
    needs!(have(&["mkfs.ext4"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    card.image("a.img");
    image(&card.at("other"), 32 * MIB, 3, &[]);
    for name in [&card.node, "other"] {
        run(&format!("mkfs.ext4 -q {name}"), card.dir.path());
    }
    let point = point(&card);
    mount(&card.node, &point);
    let prepared = prepare(&card, true);
    unmount(&point);
    card.replace("other");
    mount(&card.node, &point);
    let text = answer(prepared).unwrap_err().to_string();
    let stayed = is_mounted(&point);
    if stayed {
        unmount(&point);
    }
    assert_contains(&text, &["(nothing was written)", "is a different disk now"]);
    assert!(stayed, "the other disk was unmounted");
}

#[test]
fn only_mounts_of_the_disk_itself_are_unmounted() {
    needs!(have(&["mkfs.ext4"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    let Some(neighbour) = Card::new(32 * MIB) else { return };
    let bytes = card.image("a.img");
    for one in [&card, &neighbour] {
        run(&format!("mkfs.ext4 -q {}", one.node), one.dir.path());
    }
    let point = point(&card);
    mount(&card.node, &point);
    let prepared = prepare(&card, true);
    unmount(&point);
    mount(&neighbour.node, &point);
    // The card is mounted elsewhere meanwhile.
    let later = card.at("later");
    fs::create_dir(&later).unwrap();
    let later = later.canonicalize().unwrap();
    mount(&card.node, &later);
    let written = answer(prepared);
    let (stayed, later_stayed) = (is_mounted(&point), is_mounted(&later));
    for point in [(&point, stayed), (&later, later_stayed)] {
        if point.1 {
            unmount(point.0);
        }
    }
    written.unwrap();
    assert!(stayed, "the neighbour was unmounted");
    assert!(card.bytes()[..bytes.len()] == bytes[..]);
}

/// Without `--unmount` what is mounted meanwhile stays mounted.
#[test]
fn card_that_is_mounted_meanwhile_is_refused() {
    needs!(have(&["mkfs.ext4"]));
    let Some(card) = Card::new(32 * MIB) else { return };
    card.image("a.img");
    run(&format!("mkfs.ext4 -q {}", card.node), card.dir.path());
    let point = point(&card);
    let prepared = prepare(&card, false);
    mount(&card.node, &point);
    let text = answer(prepared).unwrap_err().to_string();
    unmount(&point);
    assert_contains(&text, &["(nothing was written)", "is mounted at"]);
}
