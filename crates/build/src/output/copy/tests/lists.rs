//! The manifest and the list for Raspberry Pi Imager.

use super::*;

#[test]
fn manifests_differ_in_durations_only() {
    let made = || {
        let dir = tempfile::tempdir().unwrap();
        let bytes = archive(tar::EntryType::Regular, &content(500_000));
        let case = (
            product("a.img", Compression::None),
            options(Compression::Zstd),
            false,
        );
        let image = copy(dir.path(), case).run(bytes.as_slice()).unwrap();
        let mut json: serde_json::Value = sdbuild_core::untrusted::json(&image.manifest).unwrap();
        assert!(json["durations"]["copy-out"].is_number());
        json["durations"].take();
        (json.to_string(), read(dir.path(), "a.img.zst"))
    };
    let (one, two) = (made(), made());
    assert!(one == two, "{}\n{}", one.0, two.0);
    assert!(one.0.contains("1970-01-01T00:00:00Z"));
}

#[test]
fn list_for_imager_is_written_on_request() {
    let dir = tempfile::Builder::new().prefix("ü x").tempdir().unwrap();
    for (imager, start) in [
        (ImagerUrl::OutputDir, "file:///"),
        (
            ImagerUrl::Below("https://a.example/b/".into()),
            "https://a.example/b/a.img.zst",
        ),
    ] {
        let case = (
            product("a.img", Compression::None),
            options(Compression::Zstd),
            true,
        );
        let mut copy = copy(dir.path(), case);
        copy.request.settings.imager = Some(imager);
        let bytes = archive(tar::EntryType::Regular, &content(400_000));
        let image = copy.run(bytes.as_slice()).unwrap();
        let list = read(dir.path(), "a.img.zst.rpi-imager.json");
        let list: serde_json::Value =
            sdbuild_core::untrusted::json(str::from_utf8(&list).unwrap()).unwrap();
        let entry = &list["os_list"][0];
        let url = entry["url"].as_str().unwrap();
        assert!(url.starts_with(start) && !url.contains([' ', 'ü']), "{url}");
        assert_eq!(entry["name"], "a");
        assert_eq!(entry["extract_size"], 400_000);
        assert_eq!(entry["image_download_size"], image.size);
        assert_eq!(entry["image_download_sha256"], image.sha256.to_string());
        assert_eq!(entry["release_date"], "1970-01-01");
    }
}

#[test]
fn list_has_boards_of_the_system_and_an_escaped_url() {
    for (base, system, url) in [
        (
            "https://a.example/b",
            "aarch64-linux",
            "https://a.example/b/a%3Fb.img",
        ),
        (
            "https://a.example",
            "x86_64-linux",
            "https://a.example/a%3Fb.img",
        ),
        (
            "https://a.example/b/?c=d",
            "x86_64-linux",
            "https://a.example/b/a%3Fb.img?c=d",
        ),
        ("directory/", "x86_64-linux", "directory/a?b.img"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut copy = copy(dir.path(), plain(false));
        copy.product.raw_name = "a?b.img".into();
        copy.request.settings.imager = Some(ImagerUrl::Below(base.into()));
        copy.request.origin.system = system.into();
        let bytes = archive(tar::EntryType::Regular, b"x");
        copy.run(bytes.as_slice()).unwrap();
        let list = read(dir.path(), "a?b.img.rpi-imager.json");
        let list: serde_json::Value =
            sdbuild_core::untrusted::json(str::from_utf8(&list).unwrap()).unwrap();
        let entry = &list["os_list"][0];
        assert_eq!(entry["url"], url);
        let boards = serde_json::json!(["pi3-64bit", "pi4-64bit"]);
        let wanted = (system == "aarch64-linux").then_some(&boards);
        assert_eq!(entry.get("devices"), wanted, "{system}");
    }
}

#[test]
fn list_of_a_replaced_image_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let name = "a.img.rpi-imager.json";
    let bytes = archive(tar::EntryType::Regular, b"new");
    for other in [name, "b.img.rpi-imager.json"] {
        std::fs::write(dir.path().join(other), "old").unwrap();
    }
    let kept = copy(dir.path(), plain(false));
    kept.run(bytes.as_slice()).unwrap();
    assert_eq!(read(dir.path(), name), b"old");
    let interrupted = copy(dir.path(), plain(true));
    interrupted.context.cancel.received(2);
    interrupted.run(bytes.as_slice()).unwrap_err();
    assert_eq!(read(dir.path(), name), b"old");
    let replaced = copy(dir.path(), plain(true));
    replaced.run(bytes.as_slice()).unwrap();
    assert!(!dir.path().join(name).exists());
    assert_eq!(read(dir.path(), "b.img.rpi-imager.json"), b"old");
}
