//! What references mean, and which are refused.

use super::*;

fn parse(text: &str) -> FlakeRef {
    text.parse().unwrap()
}

#[test]
fn directories_are_recognised() {
    for (text, path, untracked, dir) in [
        (".", ".", false, ""),
        ("", ".", false, ""),
        ("./sub?dir=a/b", "./sub", false, "a/b"),
        ("/home/me/pi", "/home/me/pi", false, ""),
        ("path:.", ".", true, ""),
        ("path:/x y?dir=b", "/x y", true, "b"),
        ("git+file:///x?dir=b&submodules=1", "/x", false, "b"),
        ("git+file:.", ".", false, ""),
        ("pi", "pi", false, ""),
        // A URL is encoded, a path is not.
        ("path:/x%20y?dir=a%20b", "/x y", true, "a b"),
        ("git+file:///x%20y", "/x y", false, ""),
        ("/x%20y?dir=a%20b", "/x%20y", false, "a b"),
    ] {
        let path = PathBuf::from(path);
        let directory = FlakeLocation::Directory { path, untracked };
        let got = parse(text);
        assert_eq!((got.location, got.dir.as_str()), (directory, dir), "{text}");
    }
}

#[test]
fn everything_with_another_scheme_is_remote() {
    for text in [
        "github:o/r/main?dir=x",
        "gitlab:o/r",
        "git+https://h.example/r?ref=x",
        "https://h.example/a.tar.gz",
    ] {
        assert_eq!(parse(text).location, FlakeLocation::Remote(text.into()));
    }
    let ssh = FlakeLocation::Repository(GitSource {
        url: "ssh://git@h.example/r.git".into(),
        branch: Some("feature/x".into()),
        revision: None,
        is_archive: false,
    });
    let reference = parse("git+ssh://git@h.example/r.git?ref=feature%2Fx&dir=d");
    assert_eq!((reference.location, reference.dir.as_str()), (ssh, "d"));
}

#[test]
fn the_users_git_fetches_repositories_elsewhere() {
    let location = |text: &str| parse(text).by_git().map(|reference| reference.location);
    let repository = |url: &str, branch: Option<&str>, is_archive| {
        FlakeLocation::Repository(GitSource {
            url: url.into(),
            branch: branch.map(str::to_owned),
            revision: None,
            is_archive,
        })
    };
    let found = location("git+https://h.example/r?ref=x&dir=d").unwrap();
    assert_eq!(found, repository("https://h.example/r", Some("x"), false));
    let found = location("github:o/r").unwrap();
    assert_eq!(found, repository("https://github.com/o/r", None, true));
    assert_eq!(location("./x"), Ok(parse("./x").location));
    for (text, part) in [
        ("https://h.example/a.tar.gz", "not a repository"),
        ("git+https://h.example/r?submodules=1", "submodules"),
    ] {
        let failure = location(text).unwrap_err();
        assert!(failure.contains(part), "{failure}");
    }
}

#[test]
fn attributes_are_names_separated_by_dots() {
    let names = |text: &str| parse(text).attribute.join("|");
    assert_eq!(names(".#pi"), "pi");
    assert_eq!(names(".#\"pi.lan\""), "pi.lan");
    assert_eq!(names("#a.\"b.c\".d"), "a|b.c|d");
    assert_eq!(parse(".#a.\"b.c\"").to_string(), ".#a.\"b.c\"");
    assert_eq!(parse("#").attribute, [""; 0]);
}

#[test]
fn addresses_of_repositories_are_told_as_references() {
    for (text, reference) in [
        ("https://github.com/me/conf", "github:me/conf"),
        ("https://github.com/me/conf.git#pi", "github:me/conf#pi"),
        ("https://gitlab.com/me/conf/", "gitlab:me/conf"),
        (
            "git@github.com:me/c.git",
            "git+ssh://git@github.com/me/c.git",
        ),
        ("git+ssh://github.com:me/c", "git+ssh://git@github.com/me/c"),
        (
            "git+ssh://me@h.example:conf#pi",
            "git+ssh://me@h.example/conf#pi",
        ),
    ] {
        let told = text.parse::<FlakeRef>().unwrap_err();
        assert!(told.ends_with(&format!("write {reference}")), "{told}");
    }
    for text in [
        "https://github.com/me/c/archive/main.tar.gz",
        "git+ssh://git@h.example:22/x",
    ] {
        assert!(text.parse::<FlakeRef>().is_ok(), "{text}");
    }
    for text in [
        "git+ssh://me:secret@h.example/x",
        "git+https://me:secret@h.example/x#pi?dir=s",
        "git+https://h.example/x?access_token=secret#pi?dir=s",
    ] {
        let told = text.parse::<FlakeRef>().unwrap_err();
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn parameters_that_are_misplaced_or_not_taken_have_a_remedy() {
    for (text, part) in [
        (".#pi?ref=main", "are after the `#`"),
        ("path:/a?rev=1&dir=b#pi", "git checkout 1"),
        (".?ref=main#pi", "git checkout main"),
        (
            "path:/a?access_token=secret",
            "=***`; leave out access_token",
        ),
        ("flake:nixpkgs", "write github:NixOS/nixpkgs/"),
    ] {
        let refusal = text.parse::<FlakeRef>().unwrap_err();
        assert!(refusal.contains(part), "{refusal}");
    }
}

#[test]
fn a_url_with_a_server_and_a_path_are_in_no_registry() {
    for url in ["NixOS/nixpkgs", "nixpkgs", "flake:nixpkgs"] {
        assert!(is_in_registry(url), "{url}");
    }
    for url in [
        "github:NixOS/nixpkgs",
        "./pi",
        "/pi",
        "path:pi",
        "flakes.d/base",
        "2nd",
        "",
    ] {
        assert!(!is_in_registry(url), "{url}");
    }
    for (name, expected) in [
        (
            "flake:nixpkgs/nixos-25.11",
            "write github:NixOS/nixpkgs/nixos-25.11",
        ),
        ("disko", "write github:nix-community/disko"),
        ("me/pi", "write github:me/pi if it is on GitHub"),
    ] {
        assert_eq!(registry_alternative(name), expected);
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for text in [
        ".#a..b",
        ".#\"a",
        ".#${x}",
        ".?dir=../x",
        ".?dir=/x",
        ".?dir=%2e%2e/x",
        "path:/x%",
        "git+ssh://h.example/r?rev=--force",
        "git+ssh:h.example/r",
        "git+ssh://git:secret@h.example/r",
        ".?rev=abc",
        "path:.?x",
        "flake:nixpkgs",
        "github:me",
        "a\nb",
    ] {
        assert!(text.parse::<FlakeRef>().is_err(), "{text}");
    }
}

#[test]
fn relative_paths_become_absolute() {
    let dir = |text: &str| parse(text).relative_to(Path::new("/pi")).directory();
    assert_eq!(dir(".#x"), Some("/pi".into()));
    assert_eq!(dir("../a?dir=b"), Some("/pi/../a/b".into()));
    assert_eq!(dir("/b"), Some("/b".into()));
    assert_eq!(dir("github:a/b"), None);
}

#[test]
fn what_is_wrongly_encoded_is_refused() {
    for text in ["x?a=%zz", "x?a=%2", "x?a=%", "x?a=%ff", "x?a=%0A", "x?a"] {
        FlakeUrl::parse(text).unwrap_err();
    }
}

#[test]
fn paths_are_encoded_as_nix_does() {
    assert_eq!(normal_path("/a%2fb/~c@d e").unwrap(), "/a/b/~c@d%20e");
    assert_eq!(encoded("a b/ä&?"), "a%20b/%C3%A4%26%3F");
}
