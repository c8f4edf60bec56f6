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
            "git@github.com:me/conf.git",
            "git+ssh://git@github.com/me/conf.git",
        ),
        (
            "git+ssh://github.com:me/conf",
            "git+ssh://git@github.com/me/conf",
        ),
        (
            "git+ssh://me@h.example:conf#pi",
            "is an SSH address as only git takes it; as a flake, write git+ssh://me@h.example/conf#pi",
        ),
        (
            "https://github.com/me/conf/blob/main/flake.nix",
            "is a web page; as a flake, write github:me/conf/main",
        ),
        (
            "https://github.com/me/conf/blob/main/a/b/flake.nix",
            "github:me/conf/main?dir=a/b",
        ),
    ] {
        let told = text.parse::<FlakeRef>().unwrap_err();
        assert!(told.ends_with(reference), "{told}");
    }
    let archive = "https://github.com/me/conf/archive/main.tar.gz";
    assert!(archive.parse::<FlakeRef>().is_ok());
    assert!("git+ssh://git@h.example:22/x".parse::<FlakeRef>().is_ok());
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
    let told = ".#pi?ref=main".parse::<FlakeRef>().unwrap_err();
    assert!(
        told.ends_with("run `git checkout main`, and write .#pi"),
        "{told}"
    );
    let told = ".#pi?dir=sub".parse::<FlakeRef>().unwrap_err();
    assert!(told.ends_with("write '.?dir=sub#pi'"), "{told}");
    let told = "github:a/b?ref=x#pi?dir=c".parse::<FlakeRef>().unwrap_err();
    assert!(told.ends_with("'github:a/b?ref=x&dir=c#pi'"), "{told}");
    for (text, end) in [
        ("github:a/b?branch=x#pi", "write github:a/b/x#pi"),
        (
            "path:/a?ref=main",
            "Write path:/a without ref=main; for that branch, first run `git -C /a checkout main`",
        ),
        (
            "path:/a?rev=1&dir=b#pi",
            "Write 'path:/a?dir=b#pi' without rev=1; for that commit, first run `git -C /a checkout 1`",
        ),
        (
            "path:/a?access_token=secret",
            "=***`. Leave out access_token",
        ),
        (
            "git:a/b",
            "git+ssh://git@HOST/a/b, or github:a/b if it is on GitHub",
        ),
    ] {
        let told = text.parse::<FlakeRef>().unwrap_err();
        assert!(told.ends_with(end), "{told}");
    }
    let told = ".?ref=main#pi".parse::<FlakeRef>().unwrap_err();
    assert!(told.contains("git checkout main"), "{told}");
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
        "git:me/x",
        "github:me/x?branch=main",
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
