//! Repeats the tour in docs/tour.md on a terminal of 80 columns with an engine of its own, and compares the page and
//! its pictures. `scripts/tour` writes them.

mod machine;
mod mask;
mod picture;

use std::fmt::Write as _;
use std::fs;

use machine::{Card, Laptop, Run};

use crate::support::*;

/// The path of the page.
const TOUR: &str = "docs/tour.md";

/// The page and the pictures of a new tour.
struct Taken {
    text: String,
    pictures: Vec<Picture>,
}

/// A screen as SVG.
struct Picture {
    /// The file that holds it.
    file: &'static str,
    svg: String,
    /// What it must show.
    part: &'static str,
}

impl Picture {
    /// The end of `run`.
    fn of_end(run: &Run, file: &'static str, part: &'static str) -> Self {
        let svg = picture::of(run, |screen| usize::from(screen.contains(part)));
        Self { file, svg, part }
    }
}

const HEAD: &str = "\
# A tour

This page shows what sdbuild prints on a terminal of 80 columns, from a machine whose Docker does not run to a finished image and the
clean-up. The image is the tests' very small NixOS, so a build takes seconds. Your first one downloads most packages and takes about 20
minutes, and its numbers are larger.

The outputs are those of real runs. A test repeats them and compares: only times, sizes, hashes and machine-specific values may differ.
They use the [miniature nixpkgs](../tests/mini-nixpkgs/README.md) (`SDBUILD_NIXPKGS`) and no [binary cache](terms.md), a server of built packages (`SDBUILD_SUBSTITUTERS` is empty).
";

/// Adds the derivation `name` to the system packages.
fn with_package(laptop: &Laptop, name: &str, script: &str) {
    let package = format!("(runCommand \"{name}\" {{ }} \"{script}\")");
    let all = format!("with pkgs; [ vim htop git {package} ];");
    laptop.edit(|text| {
        let (before, rest) = text.split_once("with pkgs; [ ").unwrap();
        let (_, after) = rest.split_once("];").unwrap();
        format!("{before}{all}{after}")
    });
}

/// The page being written.
struct Page {
    laptop: Laptop,
    text: String,
    pictures: Vec<Picture>,
}

impl Page {
    /// Writes a title, unless it is empty, and a paragraph.
    fn say(&mut self, title: &str, prose: &str) {
        if !title.is_empty() {
            write!(self.text, "\n## {title}\n").unwrap();
        }
        write!(self.text, "\n{prose}\n").unwrap();
    }

    fn show(&mut self, run: &Run) {
        let shown = without_this_machine(&run.shown());
        write!(self.text, "\n```\n{shown}```\n").unwrap();
    }

    /// Shows `run` as the picture in `file`, which must show `part`, beside the text.
    fn picture(&mut self, run: &Run, file: &'static str, alt: &str, part: &'static str) {
        let name = file.trim_start_matches("docs/");
        self.say("", &format!("![{alt}]({name})"));
        self.pictures.push(Picture::of_end(run, file, part));
    }

    /// Shows `words` as the pictures in `files`, on terminals of so many columns.
    #[track_caller]
    fn widths(
        &mut self,
        words: &str,
        code: i32,
        files: &[(&'static str, u16)],
        part: &'static str,
    ) {
        for (file, columns) in files {
            let run = self.laptop.runs_on(*columns, words, code);
            let alt = format!("The same on a terminal of {columns} columns");
            self.picture(&run, file, &alt, part);
        }
    }

    #[track_caller]
    fn run(&mut self, words: &str, code: i32) -> Run {
        let run = self.laptop.runs(words, code);
        self.show(&run);
        run
    }
}

/// `text` without the temporary directory of the tests' engine, and what the name of this machine's kernel has after its version.
fn without_this_machine(text: &str) -> String {
    let lines = text.lines().map(|line| {
        if let Some((before, _)) = line.split_once("/tmp/sdbuild-engine") {
            return format!("{before}/var/lib/docker\n");
        }
        match line.split_once("Linux ") {
            Some((before, version)) if before.contains(" kernel ") => {
                let version = version.split('-').next().unwrap_or_default();
                format!("{before}Linux {version}\n")
            }
            _ => format!("{line}\n"),
        }
    });
    lines.collect()
}

fn take() -> Taken {
    let (laptop, text) = (Laptop::new(), HEAD.to_owned());
    let pictures = Vec::new();
    let mut page = Page {
        laptop,
        text,
        pictures,
    };
    begin(&mut page);
    check(&mut page);
    build(&mut page);
    boot_and_flash(&mut page);
    mistake(&mut page);
    fail(&mut page);
    end(&mut page);
    Taken {
        text: page.text,
        pictures: page.pictures,
    }
}

fn begin(page: &mut Page) {
    page.say("Can this machine do it?", "`doctor` checks every condition of a build and changes nothing. This machine has no engine yet:");
    page.run("sdbuild doctor", 3);
    page.laptop.start_engine();
    page.say("", "With an engine:");
    page.run("sdbuild doctor", 0);
    page.say("A configuration", "`init` finds your public keys in `~/.ssh` and writes an `sd-card.nix` that you can read and change:");
    page.run("sdbuild init --hostname pi --yes", 0);
}

fn check(page: &mut Page) {
    let (on, off) = ("openssh.enable = true", "openssh.enable = false");
    page.say("Can you log in?", &format!("`check` finds what must be fixed, and builds nothing. This configuration sets `services.{off}`:"));
    page.laptop.edit(|text| text.replace(on, off));
    page.run("sdbuild check", 6);
    page.say("", "Without that line:");
    page.laptop.edit(|text| text.replace(off, on));
    page.run("sdbuild check", 0);
}

fn build(page: &mut Page) {
    page.say("The image", "During the build, the last lines of the screen show how far it is, and what is being built and downloaded:\n\n![A build in progress](building.svg)\n\nThis remains at the end. A phase that took no time is not shown. If standard output is not a terminal, sdbuild writes the path of the image to it:");
    let run = page.run("sdbuild build", 0);
    let svg = picture::of(&run, |screen| {
        let is_building = screen.contains(" % ") && screen.contains(" Build ");
        usize::from(is_building) * screen.matches("     building ").count()
    });
    let (file, part) = ("docs/building.svg", "building");
    page.pictures.push(Picture { file, svg, part });
    page.pictures
        .push(Picture::of_end(&run, "docs/build.svg", "sdbuild flash"));
    page.say("", "The output uses the width of the terminal. Here an image that is up to date is built again, with `--force`, on terminals of 40, 100 and 200 columns. Like all pictures here, these follow the light or dark theme of the page:");
    let files = [
        ("docs/build-40.svg", 40),
        ("docs/build-100.svg", 100),
        ("docs/build-200.svg", 200),
    ];
    page.widths("sdbuild build --force", 0, &files, "sdbuild flash");
}

fn boot_and_flash(page: &mut Page) {
    page.say("Does it boot?", "`boot` starts the newest image in a virtual machine. With `--until-ssh` it waits until your key can log in. Without that flag you see the console; Ctrl-A, then X, leaves it. The image is not changed.");
    let run = page.run("sdbuild boot --until-ssh", 0);
    page.picture(
        &run,
        "docs/boot.svg",
        "A boot until the login",
        "logged in over SSH",
    );
    let card = Card::insert();
    let image = page.laptop.image();
    page.say("Onto the card", "`flash` names what will be lost, asks, writes, and reads the card back. This machine has no card reader, so the card is a loop device here, which needs `--allow-fixed`.");
    let words = format!("sdbuild flash {image} {} --allow-fixed", card.node);
    let run = page.laptop.answers(&words, "[y/N] ", "y\r");
    page.show(&run);
    page.picture(
        &run,
        "docs/flash.svg",
        "An image on its card",
        "take the card out",
    );
}

/// A name that no package has.
fn mistake(page: &mut Page) {
    page.say(
        "A mistake in the configuration",
        "The error says where it is, shows the line, and what to do:",
    );
    page.laptop
        .edit(|text| text.replace("with pkgs; [ ", "with pkgs; [ htopp "));
    let run = page.run("sdbuild build", 2);
    page.picture(&run, "docs/error.svg", "An error with its line", "hint:");
    page.say(
        "",
        "A narrow terminal shows the part of the line around the caret:",
    );
    let file = ("docs/error-40.svg", 40);
    page.widths("sdbuild build", 2, &[file], "hint:");
    page.laptop
        .edit(|text| text.replace("with pkgs; [ htopp ", "with pkgs; [ "));
}

fn fail(page: &mut Page) {
    let script = "cowsay hello > $out";
    with_package(&page.laptop, "hello-1.0", script);
    page.say("When a build fails", &format!("This package needs a program that does not exist:\n\n```nix\n(runCommand \"hello-1.0\" {{ }} \"{script}\")\n```"));
    page.run("sdbuild build", 4);
    page.say("", "The hint opens a shell with the environment of that package, in the same builder. The name of the package is enough. Without `--run` you get a prompt.");
    page.run("sdbuild shell hello-1.0 --run '. $buildCommandPath'", 127);
    with_package(&page.laptop, "slow-1.0", "sleep 600");
    page.say(
        "Ctrl-C",
        "sdbuild cleans up before it exits, whenever you stop it:",
    );
    let interrupted = page.laptop.interrupts("sdbuild build", "slow-1.0");
    page.show(&interrupted);
}

fn end(page: &mut Page) {
    page.say("Cleaning up", "Container images, the store and downloads stay, so that the next build is fast. `clean --old` keeps what the last image of each configuration needs, and removes the other results and packages; `clean` removes the rest too. Both keep your images and configurations, and ask first without `--yes`.");
    page.run("sdbuild status", 0);
    page.run("sdbuild clean --old --yes", 0);
    page.run("sdbuild clean --yes", 0);
    page.run("sdbuild status", 0);
}

#[test]
fn tour_matches_what_happens() {
    if !engine_ready() || !root_available() || !boot_available() {
        return;
    }
    let before = Machine::snapshot();
    let taken = take();
    let path = |name: &str| root().join(name);
    if std::env::var_os("SDBUILD_TOUR_WRITE").is_some() {
        fs::write(path(TOUR), &taken.text).unwrap();
        for picture in &taken.pictures {
            fs::write(path(picture.file), &picture.svg).unwrap();
        }
    }
    before.assert_unchanged();
    let read = |name: &str| fs::read_to_string(path(name)).unwrap();
    let (was, is) = (mask::tour(&read(TOUR)), mask::tour(&taken.text));
    let difference = mask::difference(&was, &is);
    assert!(
        difference.is_empty(),
        "{TOUR} is not what happens; scripts/tour writes it anew\n{difference}"
    );
    for Picture { file, svg, part } in &taken.pictures {
        let (was, is) = (mask::picture(&read(file)), mask::picture(svg));
        assert_eq!(
            was, is,
            "{file} is not what happens; scripts/tour writes it anew"
        );
        // Which derivations and phases are seen differs from run to run.
        for svg in [&read(file), svg] {
            assert!(svg.contains(part), "`{part}` is not in {file}: {svg}");
        }
    }
}
