//! `install.sh` of a release, with a server on this machine in place of the one with the releases.

mod uninstall;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::*;

const NAME: &str = "sdbuild-v9.8.7-x86_64-unknown-linux-musl";
/// What the script runs, besides a program that downloads.
const PROGRAMS: [&str; 15] = [
    "sh",
    "uname",
    "find",
    "sed",
    "grep",
    "cut",
    "mkdir",
    "rmdir",
    "mktemp",
    "mv",
    "rm",
    "tar",
    "gzip",
    "sha256sum",
    "ssh-keygen",
];

/// A program that writes two manual pages, and otherwise prints its arguments and its version.
const PROGRAM: &str = r#"#!/bin/sh
if [ "$1 $2 $3" = "--quiet man --dir" ]; then
  mkdir "$4" && echo page >"$4/sdbuild.1" && echo page >"$4/sdbuild-build.1"
  exit
fi
[ $1 = --version ] || echo told "$@"
echo sdbuild 9.8.7
"#;

/// What is installed, in the home directory.
const INSTALLED: [&str; 6] = [
    "./.local/bin/sdbuild",
    "./.local/share/bash-completion/completions/sdbuild",
    "./.local/share/fish/vendor_completions.d/sdbuild.fish",
    "./.local/share/man/man1/sdbuild-build.1",
    "./.local/share/man/man1/sdbuild.1",
    "./.local/share/zsh/site-functions/_sdbuild",
];

/// A release of a program that prints its version, its server, and a home directory to install to.
struct Release {
    dir: tempfile::TempDir,
    server: CacheServer,
}

impl Release {
    /// A signed release whose files `manner` serves.
    fn new(manner: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let files = at("files/latest/download");
        for path in [&files, &at("home"), &at("bin"), &at(NAME)] {
            fs::create_dir_all(path).unwrap();
        }
        write_program(at(NAME).join("sdbuild"), PROGRAM);
        let archive = files.join(format!("{NAME}.tar.gz"));
        shell(dir.path(), &format!("tar -czf '{}' {NAME}", archive.display()));
        shell(&files, "sha256sum sdbuild-* >SHA256SUMS");
        shell(dir.path(), "ssh-keygen -q -t ed25519 -N '' -C '' -f key");
        shell(&files, "ssh-keygen -q -Y sign -f ../../../key -n file SHA256SUMS 2>&1");
        for program in PROGRAMS {
            let found = shell(dir.path(), &format!("command -v {program}"));
            symlink(found.trim(), at("bin").join(program)).unwrap();
        }
        // A release's script has its key.
        let key = fs::read_to_string(at("key.pub")).unwrap();
        let script = fs::read_to_string(root().join("install.sh")).unwrap();
        let keyed = script.replacen("release_key=''", &format!("release_key='{}'", key.trim()), 1);
        assert_ne!(script, keyed);
        fs::write(at("install.sh"), keyed).unwrap();
        let server = CacheServer::start(&at("files"), manner);
        Self { dir, server }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds `program` to those that the script finds.
    fn with(self, program: &str) -> Self {
        let found = shell(self.dir.path(), &format!("command -v {program}"));
        symlink(found.trim(), self.at("bin").join(program)).unwrap();
        self
    }

    /// Runs the script in an environment that has nothing else.
    fn install(&self) -> Outcome {
        self.install_version("")
    }

    /// Runs it for a certain version; the newest if that is empty.
    fn install_version(&self, version: &str) -> Outcome {
        run(&mut self.command(version))
    }

    fn command(&self, version: &str) -> Command {
        let mut command = Command::new(self.at("bin/sh"));
        command.env_clear().env("PATH", self.at("bin"));
        command.env("HOME", self.at("home"));
        let releases = format!("http://127.0.0.1:{}", self.server.port());
        command.env("SDBUILD_RELEASES", releases);
        command.env("SDBUILD_VERSION", version);
        command.arg(self.at("install.sh"));
        command
    }

    /// The names of all files in the home directory.
    fn installed(&self) -> Vec<String> {
        let names = shell(&self.at("home"), "find . -type f | sort");
        names.lines().map(str::to_owned).collect()
    }

    /// Asserts that it fails with `reasons` and leaves no file.
    #[track_caller]
    fn refuses(&self, reasons: &[&str]) {
        let mut expected = reasons.to_vec();
        expected.push("nothing was installed");
        self.install().assert_exit_code(1).assert_stderr_contains(&expected);
        assert_eq!(self.installed(), [""; 0]);
    }
}

/// Runs `script` in `dir` and returns what it prints.
fn shell(dir: &Path, script: &str) -> String {
    let mut command = Command::new("sh");
    run(command.args(["-ec", script]).current_dir(dir)).assert_exit_code(0).stdout
}

/// `reply` to a request of the archive, and the file to any other one.
fn for_archive(request: &Request, reply: Reply) -> Reply {
    if is_archive(request) { reply } else { Reply::File }
}

fn is_archive(request: &Request) -> bool {
    request.file().ends_with(".tar.gz")
}

#[test]
fn curl_or_wget_install_a_verified_program() {
    for program in ["curl", "wget"] {
        let release = Release::new(|_| Reply::File).with(program);
        release.install().assert_exit_code(0).assert_stderr_contains(&[
            "signature verified",
            "installed sdbuild 9.8.7 as ",
            "/home/.local/bin is not in PATH",
            "/home/.local/bin/sdbuild doctor",
        ]);
        assert_eq!(release.installed(), INSTALLED, "{program}");
        let said = shell(&release.at("home"), ".local/bin/sdbuild --version");
        assert_eq!(said, "sdbuild 9.8.7\n");
        let zsh = shell(&release.at("home"), "cat .local/share/zsh/*/_sdbuild");
        assert_eq!(zsh, "told completions zsh\nsdbuild 9.8.7\n");
        // Again, over the one that is there.
        release.install().assert_exit_code(0);
        assert_eq!(release.installed(), INSTALLED);
    }
}

#[test]
fn a_killed_run_leaves_nothing_for_longer_than_an_hour() {
    let release = Release::new(|_| Reply::File).with("curl");
    let dir = release.at("home/.local/bin");
    shell(
        &release.at("home"),
        "mkdir -p .local/bin && cd .local/bin
        for name in .sdbuild-install.kiLLed .sdbuild-install.others-own .other.kiLLed; do
          mkdir $name && touch $name/file && touch -d '2 hours ago' $name
        done
        mkdir .sdbuild-install.during",
    );
    release.install().assert_exit_code(0);
    let left = shell(&dir, "ls -A");
    let expected =
        [".other.kiLLed", ".sdbuild-install.during", ".sdbuild-install.others-own", "sdbuild"];
    assert_eq!(left.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn an_archive_with_a_wrong_hash_is_refused() {
    Release::new(|request| for_archive(request, Reply::Changed))
        .with("curl")
        .refuses(&["has SHA-256", "expected is"]);
}

#[test]
fn cut_downloads_are_refused() {
    for program in ["curl", "wget"] {
        Release::new(|request| for_archive(request, Reply::Cut))
            .with(program)
            .refuses(&["tar.gz cannot be downloaded"]);
    }
}

#[test]
fn sums_that_the_release_key_did_not_sign_are_refused() {
    let release = Release::new(|_| Reply::File).with("curl");
    let files = release.at("files/latest/download");
    shell(&files, "echo evil >>SHA256SUMS.x; cat SHA256SUMS.x >>SHA256SUMS");
    release.refuses(&["SHA256SUMS is not signed with the release key"]);
    fs::remove_file(files.join("SHA256SUMS.sig")).unwrap();
    release.refuses(&["SHA256SUMS.sig cannot be downloaded"]);
}

#[test]
fn a_signed_release_of_another_version_is_refused() {
    let release = Release::new(|_| Reply::File).with("curl");
    let files = release.at("files");
    for version in ["v9.8.7", "v9.9.0"] {
        let copy = format!("mkdir -p download && cp -r latest/download download/{version}");
        shell(&files, &copy);
    }
    release
        .install_version("9.9.0")
        .assert_exit_code(1)
        .assert_stderr_contains(&["names no archive of 9.9.0", "nothing was installed"]);
    assert_eq!(release.installed(), [""; 0]);
    release.install_version("9.8.7").assert_exit_code(0);
    assert_eq!(release.installed(), INSTALLED);
}

#[test]
fn an_older_release_is_not_taken_for_the_newest() {
    let release = Release::new(|_| Reply::File).with("curl");
    let program = release.at("home/.local/bin/sdbuild");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    for (installed, is_taken) in [
        ("9.8.7", true),
        ("9.8.6", true),
        ("9.8.10", false),
        ("10.0.0", false),
        ("9.8.10-rc1", false),
    ] {
        fs::write(&program, PROGRAM.replace("9.8.7", installed)).unwrap();
        shell(program.parent().unwrap(), "chmod 755 sdbuild");
        let outcome = release.install();
        if is_taken {
            outcome.assert_exit_code(0);
        } else {
            outcome.assert_exit_code(1).assert_stderr_contains(&["older than the installed"]);
            assert_eq!(release.installed(), ["./.local/bin/sdbuild"], "{installed}");
        }
        shell(&release.at("home"), "rm -rf .local/share");
    }
}

#[test]
fn a_release_whose_signature_cannot_be_verified_is_taken_on_request_only() {
    let release = Release::new(|_| Reply::File).with("curl");
    fs::remove_file(release.at("bin/ssh-keygen")).unwrap();
    release.refuses(&["ssh-keygen"]);
    run(release.command("").env("SDBUILD_UNVERIFIED", "yes")).assert_exit_code(0);
    assert_eq!(release.installed(), INSTALLED);
}

#[test]
fn a_script_that_is_cut_does_nothing() {
    let release = Release::new(|_| Reply::File).with("curl");
    let script = fs::read_to_string(release.at("install.sh")).unwrap();
    let end = script.rfind("\nmain \"$@\"\n").unwrap();
    fs::write(release.at("install.sh"), &script[..=end]).unwrap();
    release.install().assert_exit_code(0);
    assert_eq!(release.installed(), [""; 0]);
    assert_eq!(release.server.requests().len(), 0);
}
