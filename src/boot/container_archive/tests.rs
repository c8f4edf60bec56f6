use super::*;
use crate::image::ImageKind;

const LAYER: &str = "blobs/sha256/1111111111111111111111111111111111111111111111111111111111111111";
const CONFIG: &str =
    "blobs/sha256/2222222222222222222222222222222222222222222222222222222222222222";

/// An archive of `files`, compressed.
fn image(files: &[(&str, &str)]) -> ImageFile {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for (name, content) in files {
        let mut header = header(content.len() as u64);
        builder
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    let bytes = builder.into_inner().unwrap().finish().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box.oci.tar.gz");
    std::fs::write(&path, bytes).unwrap();
    ImageFile::open(&path, ImageKind::File).unwrap()
}

fn manifest(layer: &str) -> String {
    format!(r#"[{{"Config":"{CONFIG}","RepoTags":["nixos-box:latest"],"Layers":["{layer}"]}}]"#)
}

const CONFIG_TEXT: &str = r#"{"architecture":"arm64","os":"linux","config":{"Cmd":["/sbin/init"],
    "Labels":{"title":"box"}},"rootfs":{"type":"layers","diff_ids":["sha256:11"]}}"#;

fn read(files: &[(&str, &str)]) -> Result<ContainerArchive, Error> {
    ContainerArchive::read(image(files), &Cancel::new())
}

/// The files that are packed, by name.
fn packed(archive: &ContainerArchive) -> io::Result<Vec<(String, String)>> {
    let labels = HashMap::from([("dev.sdbuild.run".to_owned(), "0123456789ab".to_owned())]);
    let mut out = Vec::new();
    let name = "sdbuild/booted:0123456789ab";
    archive.pack(name, &labels, &Cancel::new(), &|_| (), &mut out)?;
    let mut files = Vec::new();
    for entry in tar::Archive::new(out.as_slice()).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        files.push((name, text));
    }
    Ok(files)
}

#[test]
fn a_copy_has_our_name_and_labels_and_nothing_else_of_the_file() {
    let manifest = manifest(LAYER);
    let files = [
        ("oci-layout", "{}"),
        ("index.json", "{}"),
        ("repositories", r#"{"nixos-box":{"latest":"x"}}"#),
        ("manifest.json", &manifest),
        (LAYER, "the layer"),
        (CONFIG, CONFIG_TEXT),
    ];
    let archive = read(&files).unwrap();
    assert_eq!(archive.architecture().to_string(), "aarch64");
    assert_eq!(archive.command(), ["/sbin/init"]);
    let files = packed(&archive).unwrap();
    let [(list, listed), (config_name, config), (layer, content)] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!((list.as_str(), layer.as_str()), ("manifest.json", LAYER));
    assert_eq!(content, "the layer");
    let listed: Value = serde_json::from_str(listed).unwrap();
    assert_eq!(
        listed[0]["RepoTags"],
        json!(["sdbuild/booted:0123456789ab"])
    );
    assert_eq!(listed[0]["Config"], json!(config_name));
    let config: Value = serde_json::from_str(config).unwrap();
    let labels = &config["config"]["Labels"];
    assert_eq!(
        *labels,
        json!({ "title": "box", "dev.sdbuild.run": "0123456789ab" })
    );
    assert_eq!(config["rootfs"]["diff_ids"], json!(["sha256:11"]));
}

/// What stands before a file, and is as large as no memory.
#[test]
fn huge_headers_are_refused_without_reading_them() {
    for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
        let mut header = header(1 << 40);
        header.set_entry_type(kind);
        header.set_path("x").unwrap();
        header.set_cksum();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(header.as_bytes()).unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        let image = ImageFile::open(file.path(), ImageKind::File).unwrap();
        let error = ContainerArchive::read(image, &Cancel::new()).unwrap_err();
        assert!(matches!(error, Error::Damaged(_)), "{error:?}");
    }
}

#[test]
fn other_archives_are_refused() {
    let refused = |files: &[(&str, &str)]| matches!(read(files), Err(Error::Refused(_)));
    let two = format!("{},{}", manifest(LAYER), manifest(LAYER)).replace("],[", ",");
    let outside = manifest("../../etc/passwd");
    let good = manifest(LAYER);
    assert!(refused(&[("oci-layout", "{}")]));
    assert!(refused(&[("manifest.json", &two), (CONFIG, CONFIG_TEXT)]));
    assert!(refused(&[
        ("manifest.json", &outside),
        (CONFIG, CONFIG_TEXT)
    ]));
    assert!(refused(&[("manifest.json", &good), (CONFIG, "{")]));
    let no_object = read(&[("manifest.json", &good), (CONFIG, "[]")]).unwrap();
    assert!(no_object.command().is_empty());
    packed(&no_object).unwrap_err();
    // What is missing behind the configuration is noticed before the engine has an image.
    let incomplete = read(&[("manifest.json", &good), (CONFIG, CONFIG_TEXT)]).unwrap();
    let error = packed(&incomplete).unwrap_err().to_string();
    assert!(error.contains("is not in its file"), "{error}");
}
