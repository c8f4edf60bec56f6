use super::*;

#[test]
fn only_configuration_of_a_flake_need_not_be_named() {
    let id = |source: &str, name| ImageOwnerId::new(source.to_owned(), name);
    assert!(id("a", None).is_same(&id("a", None)));
    assert!(id("a", None).is_same(&id("a", Some("pi"))));
    assert!(id("a", Some("pi")).is_same(&id("a", None)));
    assert!(id("a", Some("pi")).is_same(&id("a", Some("pi"))));
    assert!(!id("a", Some("pi")).is_same(&id("a", Some("attic"))));
    assert!(!id("a", None).is_same(&id("b", None)));
    assert!(!ImageOwnerId::default().is_same(&ImageOwnerId::default()));
}

#[test]
fn a_host_name_that_the_image_has_is_that_of_both() {
    let id = |host| ImageOwnerId::new("a".into(), Some("x")).with_host(host);
    let is_same = |one, other, image| id(one).is_same_of_image(&id(other), image);
    let image = "nixos-pi-26.05-aarch64-linux.img.zst";
    assert!(is_same(Some("pi"), None, image) && is_same(None, Some("pi"), image));
    assert!(!is_same(Some("pi"), None, "mine.img") && is_same(Some("pi"), Some("pi"), ""));
    assert!(!is_same(Some("pi"), Some("p"), image));
    assert!(!id(Some("pi")).is_same(&id(None)) && id(None).is_same(&id(None)));
    let other = ImageOwnerId::new("b".into(), None);
    assert!(!id(None).is_same_of_image(&other, image));
}
