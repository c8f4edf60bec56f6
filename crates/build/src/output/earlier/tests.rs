use serde_json::json;

use super::*;
use crate::output::manifest::ContainerImage;
use sdbuild_core::compression::Compression;
use sdbuild_image::image_format::Format;

const NAME: &str = "a.img";

fn origin(id: &str, store_path: &str) -> Provenance {
    let mut origin = Provenance::default();
    origin.configuration.id = id.to_owned();
    origin.result.store_path = store_path.to_owned();
    origin
}

/// A directory with an image of 512 bytes and a manifest that states `size`.
fn written(size: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let image = vec![7; 512];
    fs::write(dir.path().join(NAME), &image).unwrap();
    let hash = Sha256Hash::of(b"text").to_string();
    let sidecars =
        ["a.img.sha256", "a.img.bmap"].map(|name| json!({ "name": name, "sha256": hash }));
    let manifest = json!({
        "version": VERSION,
        "sdbuild": env!("CARGO_PKG_VERSION"),
        "format": Format::default(),
        "configuration": { "id": "mine" },
        "result": { "store_path": "/nix/store/x" },
        "image": { "name": NAME, "compression": "none", "level": null, "size": size,
            "sha256": Sha256Hash::of(&image).to_string() },
        "raw": { "size": 512, "sha256": hash, "mapped_bytes": 512 },
        "sidecars": sidecars,
    });
    fs::write(dir.path().join("a.img.json"), manifest.to_string()).unwrap();
    dir
}

fn read(dir: &tempfile::TempDir) -> Option<EarlierImage> {
    EarlierImage::read(dir.path(), NAME, &Cancel::new())
}

#[test]
fn image_is_known_by_the_manifest_beside_it() {
    let dir = written(512);
    let earlier = read(&dir).unwrap();
    assert!(earlier.is_of(&origin("mine", "")) && !earlier.is_of(&origin("other", "")));
    let how = |level| CompressionOptions {
        format: Compression::None,
        level,
    };
    assert!(earlier.is_result(&origin("mine", "/nix/store/x"), how(None)));
    assert!(!earlier.is_result(&origin("mine", "/nix/store/y"), how(None)));
    assert!(!earlier.is_result(&origin("mine", "/nix/store/x"), how(Some(3))));
    let has = |all: &[Sidecar]| earlier.has_whole(dir.path(), all.iter().copied());
    assert!(has(&[Sidecar::Manifest]) && !has(&Sidecar::ALL));
    let manifest = || fs::File::open(dir.path().join("a.img.json")).unwrap();
    let image = earlier.into_image(dir.path(), SystemTime::UNIX_EPOCH);
    let dated = manifest().metadata().unwrap().modified().unwrap();
    assert_eq!(dated, SystemTime::UNIX_EPOCH);
    assert!(image.up_to_date && image.path.ends_with(NAME) && image.raw_size == 512);
}

#[test]
fn images_of_the_same_configuration_with_other_names_are_found() {
    let dir = written(512);
    let manifest = fs::read_to_string(dir.path().join("a.img.json")).unwrap();
    let found = |name: &str, id: &str| {
        older_images(&Image {
            path: dir.path().join(name),
            manifest: manifest.replace("mine", id),
            ..read(&dir)
                .unwrap()
                .into_image(dir.path(), SystemTime::now())
        })
    };
    assert_eq!(found("b.img", "mine"), [(NAME.to_owned(), 512)]);
    assert_eq!(found(NAME, "mine"), []);
    assert_eq!(found("b.img", "other"), []);
    assert_eq!(found("b.img.zst", "mine"), [], "it may be wanted too");
}

#[test]
fn image_is_unchanged_after_the_same_evaluation() {
    let dir = written(512);
    let key = Sha256Hash::of(b"key");
    let manifest = dir.path().join("a.img.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let told = text.replace("\"id\":", &format!("\"evaluation\":\"{key}\",\"id\":"));
    let told = told.replace("\"raw\":", "\"registrar\":{\"reference\":\"r:1\"},\"raw\":");
    fs::write(&manifest, told).unwrap();
    let settings = |force, format| OutputSettings {
        format: Format::default(),
        dir: dir.path().to_owned(),
        force,
        kept: Vec::new(),
        owner: None,
        is_private: false,
        compression: CompressionOptions {
            format,
            level: None,
        },
        imager: None,
        board: None,
        created: jiff::Timestamp::UNIX_EPOCH,
    };
    let found_with = |settings, id: &str, key, registrar: Option<&str>| {
        let mut origin = origin(id, "");
        origin.configuration.evaluation = key;
        origin.registrar = registrar.map(|reference| ContainerImage {
            reference: reference.to_owned(),
            ..ContainerImage::default()
        });
        unchanged(&settings, &origin, SystemTime::now(), &Cancel::new()).is_some()
    };
    let found = |settings, id: &str, key| found_with(settings, id, key, Some("r:1"));
    let plain = || settings(false, Compression::None);
    assert!(
        !found(plain(), "mine", Some(key)),
        "it has not all sidecars"
    );
    for name in ["a.img.sha256", "a.img.bmap"] {
        fs::write(dir.path().join(name), "text").unwrap();
    }
    assert!(found(plain(), "mine", Some(key)));
    assert!(!found(settings(true, Compression::None), "mine", Some(key)));
    assert!(!found(
        settings(false, Compression::Zstd),
        "mine",
        Some(key)
    ));
    assert!(!found(plain(), "other", Some(key)));
    assert!(!found(plain(), "mine", Some(Sha256Hash::of(b"another"))));
    assert!(!found(plain(), "mine", None));
    for other in [None, Some("r:2")] {
        assert!(!found_with(plain(), "mine", Some(key), other), "{other:?}");
    }
    fs::write(dir.path().join("a.img.bmap"), "other").unwrap();
    assert!(!found(plain(), "mine", Some(key)), "a sidecar was changed");
    fs::write(dir.path().join("a.img.bmap"), "text").unwrap();
    fs::write(dir.path().join(NAME), vec![8; 512]).unwrap();
    assert!(!found(plain(), "mine", Some(key)), "it was changed");
}

/// They may be the user's own.
#[test]
fn sidecars_that_were_changed_are_not_replaced() {
    let dir = written(512);
    let sidecars = ["a.img.sha256", "a.img.bmap"];
    for name in sidecars {
        fs::write(dir.path().join(name), "text").unwrap();
    }
    let replace = read(&dir).unwrap().replaceable();
    let allows = |name: &str| replace.allows(dir.path(), name);
    for name in sidecars
        .into_iter()
        .chain([NAME, "a.img.json", "a.img.rpi-imager.json"])
    {
        assert!(allows(name), "{name}");
    }
    for name in ["a.img.bmap", "a.img.json", "a.img.rpi-imager.json", NAME] {
        fs::write(dir.path().join(name), "mine").unwrap();
        assert!(!allows(name), "{name}");
    }
    assert!(allows("a.img.sha256"));
}

#[test]
fn image_that_was_changed_is_another_one() {
    assert!(read(&written(511)).is_none());
    let dir = written(512);
    fs::write(dir.path().join(NAME), vec![8; 512]).unwrap();
    assert!(read(&dir).is_none());
    let dir = written(512);
    fs::write(dir.path().join("a.img.json"), "{}").unwrap();
    assert!(read(&dir).is_none());
    fs::remove_file(dir.path().join("a.img.json")).unwrap();
    assert!(read(&dir).is_none());
}

#[test]
fn an_owner_is_the_same_with_and_without_names() {
    for (one, other, expected) in [
        ("a--", "a-pi-kitchen", true),
        ("a-pi-", "a--kitchen", true),
        ("a--kitchen", "a--attic", false),
        ("a", "a", true),
        ("a", "a-pi", true),
        ("a-pi", "a-pi", true),
        ("a-pi", "a-attic", false),
        ("a", "b", false),
        ("", "", false),
    ] {
        assert_eq!(is_one_owner(one, other), expected, "{one} {other}");
        assert_eq!(is_one_owner(other, one), expected, "{other} {one}");
    }
}
