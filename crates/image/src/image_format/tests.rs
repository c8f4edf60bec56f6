use super::*;

#[test]
fn formats_are_chosen_by_their_names() {
    for row in all() {
        let format: Format = row.name.parse().unwrap();
        assert_eq!((format.row(), format.to_string()), (row, row.name.into()));
    }
    let lxc: Format = "nixpkgs:lxc".parse().unwrap();
    assert_eq!(lxc.candidates(), [["images", "lxc"]]);
    assert_eq!(lxc.variant(), Some("lxc"));
    assert_eq!(lxc.to_string(), "nixpkgs:lxc");
    assert_eq!(Format::default().row(), &SD_CARD);
}

/// nixpkgs' modules for cards would make the image of any other format one for a card.
#[test]
fn only_a_card_keeps_the_modules_for_cards() {
    let modules = |name: &str| name.parse::<Format>().unwrap().foreign_modules().len();
    assert_eq!((modules("sd-card"), modules("nixpkgs:sd-card")), (0, 0));
    assert_eq!(modules("nixpkgs:lxc"), SD_IMAGE_MODULES.len());
}

#[test]
fn names_end_in_an_extension_and_a_compression() {
    let extensions = ["tar.xz", "tar", "img"];
    let of = |name: &str| extension_of(name, extensions);
    assert_eq!(of("a.img"), Some(("img", Compression::None)));
    assert_eq!(of("a.img.zst"), Some(("img", Compression::Zstd)));
    assert_eq!(of("a.tar.xz"), Some(("tar.xz", Compression::None)));
    assert_eq!(of("a.tar.gz"), Some(("tar", Compression::Gzip)));
    for name in ["a", "img", ".img", "a.img.zst.xz", "aimg", "a.iso"] {
        assert_eq!(of(name), None, "{name}");
    }
}

#[test]
fn rows_do_not_contradict_each_other() {
    for (at, row) in all().enumerate() {
        let others = || all().skip(at + 1);
        assert!(others().all(|other| other.name != row.name), "{}", row.name);
        for variant in row.replaces {
            let twice = others().any(|other| other.replaces.contains(variant));
            assert!(!twice, "{variant} is replaced twice");
        }
        for extension in row.extensions {
            let whole = extension_of(&format!("a.{extension}"), row.extensions.iter().copied());
            assert_eq!(whole, Some((*extension, Compression::None)), "{}", row.name);
        }
        assert!(
            row.is_disk || !row.boots || row.variant.is_some(),
            "{}",
            row.name
        );
    }
}
