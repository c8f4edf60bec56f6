//! `sdbuild publish oci`: archives as `--format container` makes them, and others.

use std::fs;
use std::path::{Path, PathBuf};

use ring::digest;
use serde_json::{Value, json};

use crate::support::*;
use crate::user;

/// The parts of an archive: names and contents.
type Parts = Vec<(String, Vec<u8>)>;

fn blob(content: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    let content = content.into();
    let hash = digest::digest(&digest::SHA256, &content);
    (format!("blobs/sha256/{}", hex::encode(hash)), content)
}

fn descriptor(kind: &str, (name, content): &(String, Vec<u8>)) -> Value {
    let digest = name.replacen("blobs/sha256/", "sha256:", 1);
    let kind = format!("application/vnd.oci.image.{kind}");
    json!({ "mediaType": kind, "digest": digest, "size": content.len() })
}

/// An image whose only layer has `text`; `change` makes a wrong one of it.
fn parts(text: &str, change: impl Fn(&mut Value)) -> Parts {
    let layer = blob(text);
    let layers = json!([descriptor("layer.v1.tar", &layer)]);
    let config = json!({ "rootfs": { "type": "layers", "diff_ids": [layers[0]["digest"]] } });
    let config = blob(config.to_string());
    let mut manifest = json!({ "schemaVersion": 2, "config": descriptor("config.v1+json", &config), "layers": layers });
    change(&mut manifest);
    let manifest = blob(manifest.to_string());
    let mut image = descriptor("manifest.v1+json", &manifest);
    image["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    let index = json!({ "schemaVersion": 2, "manifests": [image] });
    let file = |name: &str, text: String| (name.to_owned(), text.into_bytes());
    vec![
        file(
            "oci-layout",
            json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
        ),
        file("index.json", index.to_string()),
        file("manifest.json", "[]".to_owned()),
        layer,
        config,
        manifest,
    ]
}

fn archive(user: &TestUser, name: &str, parts: &Parts) -> PathBuf {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in parts {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let bytes = &mut header.as_mut_bytes()[..name.len()];
        bytes.copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, &content[..]).unwrap();
    }
    let path = user.home.path().join(name);
    fs::write(&path, tar.into_inner().unwrap()).unwrap();
    path
}

fn publish(user: &TestUser, image: &Path, more: &[&str]) -> Outcome {
    run(user.sdbuild(&["publish", "oci"]).arg(image).args(more))
}

/// Everything below `dir`.
fn files(dir: &Path) -> Vec<String> {
    let mut all = file_names(dir);
    all.extend(file_names(&dir.join("blobs/sha256")));
    all
}

fn names(index: &Path) -> Vec<String> {
    let index: Value = serde_json::from_slice(&fs::read(index).unwrap()).unwrap();
    let images = index["manifests"].as_array().unwrap().iter();
    let name = |image: &Value| image["annotations"]["org.opencontainers.image.ref.name"].clone();
    images
        .map(|image| name(image).as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_container_image_becomes_a_layout() {
    let user = user();
    let first = archive(&user, "box.oci.tar", &parts("one", |_| ()));
    let dir = user.home.path().join("box");
    let done = publish(&user, &first, &["box"]).assert_exit_code(0);
    assert_eq!(done.stdout, "box\n");
    assert!(
        done.stderr.contains("skopeo copy oci:box:latest docker://"),
        "{}",
        done.stderr
    );
    assert_eq!(names(&dir.join("index.json")), ["latest"]);
    // Two blobs are the same in both; another image of the same name takes its place.
    let second = archive(&user, "second.oci.tar", &parts("two", |_| ()));
    publish(&user, &second, &["box", "--tag", "v2"]).assert_exit_code(0);
    publish(&user, &second, &["box"]).assert_exit_code(0);
    assert_eq!(names(&dir.join("index.json")), ["v2", "latest"]);
    let mut expected = vec!["blobs".to_owned(), "index.json".into(), "oci-layout".into()];
    let blobs = [parts("one", |_| ()), parts("two", |_| ())].concat();
    let mut blobs: Vec<_> = blobs
        .iter()
        .filter_map(|(name, _)| Some(name.strip_prefix("blobs/sha256/")?.to_owned()))
        .collect();
    blobs.sort();
    blobs.dedup();
    expected.extend(blobs);
    assert_eq!(files(&dir), expected);
}

/// Archives that are wrong, with what is said of each.
fn wrong_archives(good: &Parts) -> Vec<(Parts, &'static str)> {
    let with = |name: &str, content: &str| {
        let mut parts = good.clone();
        parts.push((name.to_owned(), content.into()));
        parts
    };
    let (stray, _) = blob("stray");
    let changed = |at: usize, content: &str| {
        let mut parts = good.clone();
        parts[at].1 = content.into();
        parts
    };
    let manifest = |at: &str, value: Value| {
        parts("one", |manifest| {
            *manifest.pointer_mut(at).unwrap() = value.clone();
        })
    };
    vec![
        (with("../x", ""), "it has a file"),
        (with("blobs/sha256/../../../x", ""), "it has a file"),
        (with(&stray, "stray"), "nothing refers to the blob"),
        (with(&stray, "changed"), "is damaged"),
        (with("index.json", "{}"), "two files index.json"),
        (changed(0, "{}"), "not of version 1.0.0"),
        (changed(1, "{\"manifests\":[]}"), "does not have one image"),
        (changed(3, "two"), "is damaged"),
        (good[..5].to_vec(), "it has no blob"),
        (good[1..].to_vec(), "it has no oci-layout"),
        (manifest("/layers/0/size", json!(7)), "it has no blob"),
        (
            manifest("/layers", json!([])),
            "not those of its configuration",
        ),
        (
            manifest("/config/mediaType", json!("x")),
            "is not application/vnd",
        ),
    ]
}
