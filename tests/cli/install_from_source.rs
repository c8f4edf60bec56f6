//! `install.sh` in a clone, with programs that print what they are asked in place of cargo and of the engines.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use crate::support::*;

/// What the script runs, besides what compiles.
const PROGRAMS: [&str; 11] =
    ["sh", "sed", "find", "mkdir", "rmdir", "mktemp", "mv", "rm", "tar", "cat", "chmod"];
/// Makes a program that prints the names of the source's files.
const CARGO: &str = r#"
if [ "$1" = --version ]; then echo "cargo 1.95.0 (f2d3ce0bd 2026-03-21)"; exit; fi
while [ $# -gt 0 ]; do
  case $1 in
    --path) path=$2 ;;
    --root) root=$2 ;;
  esac
  shift
done
[ -f "$path/src/main.rs" ] || { echo "no such source" >&2; exit 101; }
files=$(cd "$path" && echo *)
mkdir -p "$root/bin"
printf '#!/bin/sh\necho "%s"\n' "sdbuild 9.8.7 of $files" >"$root/bin/sdbuild"
chmod 755 "$root/bin/sdbuild"
"#;
/// Runs the command of `docker run`, the words behind the image, on this machine with another cargo.
const DOCKER: &str = r#"
echo "$1" >>"$HOME/asked"
[ "$1" = run ] || exit 0
while [ "$1" != docker.io/library/rust:alpine ]; do shift; done
shift
export PATH="$HOME/container:$PATH" TMPDIR="$HOME"
exec "$@"
"#;

/// A clone, the programs that its script finds, and a home directory to install to.
struct Clone {
    dir: tempfile::TempDir,
}

impl Clone {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clone = Self { dir };
        for name in ["source/src", "source/target", "home/container", "bin"] {
            fs::create_dir_all(clone.at(name)).unwrap();
        }
        for name in ["install.sh", "Cargo.toml", "src/main.rs"] {
            fs::copy(root().join(name), clone.at("source").join(name)).unwrap();
        }
        PROGRAMS.into_iter().fold(clone, Clone::with_program)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds this machine's `program` to those that the script finds.
    fn with_program(self, program: &str) -> Self {
        let path = std::env::var_os("PATH").unwrap();
        let found =
            std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
        symlink(found.unwrap(), self.at("bin").join(program)).unwrap();
        self
    }

    /// Adds a shell script to the programs that the script finds.
    fn with(self, program: &str, script: &str) -> Self {
        let path = self.at("bin").join(program);
        write_program(&path, format!("#!/bin/sh\n{script}\n"));
        self
    }

    /// The command of the script, in an environment that has nothing else.
    fn command(&self) -> Command {
        let mut command = Command::new(self.at("source/install.sh"));
        command.env_clear().env("PATH", self.at("bin"));
        command.env("HOME", self.at("home"));
        command
    }

    /// Asserts that the script fails with `reasons` and leaves neither a file nor a directory.
    #[track_caller]
    fn refuses(&self, command: &mut Command, reasons: &[&str]) {
        run(command)
            .assert_exit_code(1)
            .assert_stderr_contains(reasons)
            .assert_stderr_contains(&["nothing was installed"]);
        assert!(!self.at("home/.local").exists());
    }

    /// What the installed program prints, once it is the only file.
    fn installed(&self) -> String {
        let bin = self.at("home/.local/bin");
        let names = fs::read_dir(&bin).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["sdbuild"]);
        run(&mut Command::new(bin.join("sdbuild"))).assert_exit_code(0).stdout
    }

    /// What the engine was asked to do.
    fn asked(&self) -> String {
        fs::read_to_string(self.at("home/asked")).unwrap_or_default()
    }
}

#[test]
fn rust_of_this_machine_compiles_the_clone() {
    let clone = Clone::new().with("cargo", CARGO).with("cc", "");
    let clone = clone.with("docker", DOCKER);
    run(&mut clone.command()).assert_exit_code(0).assert_stderr_contains(&[
        "compiling sdbuild with cargo",
        "installed sdbuild 9.8.7",
        "/home/.local/bin is not in PATH",
        "/home/.local/bin/sdbuild doctor",
    ]);
    let files = "sdbuild 9.8.7 of Cargo.toml install.sh src target\n";
    assert_eq!((clone.installed(), clone.asked()), (files.to_owned(), String::new()));
}

#[test]
fn an_engine_compiles_where_rust_is_old_or_has_no_linker() {
    let old = CARGO.replace("1.95.0", "1.94.0");
    for (engine, clone) in [
        ("docker", Clone::new().with("cargo", &old).with("cc", "")),
        ("podman", Clone::new().with("cargo", CARGO)),
    ] {
        let clone = clone.with(engine, DOCKER).with("../home/container/cargo", CARGO);
        run(&mut clone.command())
            .assert_exit_code(0)
            .assert_stderr_contains(&[&format!("compiling sdbuild with {engine}")]);
        // What was compiled before stays here.
        let files = "sdbuild 9.8.7 of Cargo.toml install.sh src\n";
        assert_eq!(clone.installed(), files);
        assert_eq!(clone.asked(), "version\nimage\nrun\nrm\n");
    }
}

#[test]
fn what_does_not_compile_leaves_nothing() {
    let clone = Clone::new().with("docker", DOCKER);
    let clone = clone.with("../home/container/cargo", "echo 'error: linker' >&2; exit 101");
    clone.refuses(
        &mut clone.command(),
        &["error: linker", "could not be compiled: the lines above say why"],
    );
    assert_eq!(clone.asked(), "version\nimage\nrun\nrm\n");
    let clone = clone.with("../home/container/cargo", &CARGO.replace("chmod 755", "echo '' >"));
    clone.refuses(&mut clone.command(), &["the program does not run on this machine"]);
}
