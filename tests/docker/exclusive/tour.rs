//! Repeats the tour in docs/tour.md on a terminal of 80 columns with an engine of its own, and compares the page and
//! its pictures. `scripts/tour` writes them.

mod machine;
mod mask;
mod picture;

use std::fmt::Write as _;
use std::fs;

use machine::{Laptop, Run};

use crate::support::*;

/// The path of the page.
const TOUR: &str = "docs/tour.md";

/// The page and the pictures of a new tour.
struct Taken {
    text: String,
    pictures: Pictures,
}

/// Two screens of the same build, as SVG.
struct Pictures {
    /// The live view with most derivations.
    live: String,
    /// The end, with the path of the image.
    end: String,
}

impl Pictures {
    /// The files that hold them.
    fn named(&self) -> [(&'static str, &str); 2] {
        [
            ("docs/building.svg", &self.live),
            ("docs/build.svg", &self.end),
        ]
    }
}

const HEAD: &str = "\
# A tour

What a terminal of 80 columns shows, from an empty machine to an image and back. `scripts/tour` wrote this page from real
runs, and a test repeats them and compares: only times, sizes, hashes and machine-specific values may differ. To take a
minute instead of an evening, `SDBUILD_NIXPKGS` names the [miniature nixpkgs](../tests/mini-nixpkgs/README.md) here, and
`SDBUILD_SUBSTITUTERS` is empty: without them the output looks the same and takes longer.
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
        write!(self.text, "\n```\n{}```\n", run.shown()).unwrap();
    }

    #[track_caller]
    fn run(&mut self, words: &str, code: i32) -> Run {
        let run = self.laptop.runs(words, code);
        self.show(&run);
        run
    }
}

fn take() -> Taken {
    let (laptop, text) = (Laptop::new(), HEAD.to_owned());
    let mut page = Page { laptop, text };
    begin(&mut page);
    check(&mut page);
    let pictures = build(&mut page);
    fail(&mut page);
    end(&mut page);
    Taken {
        text: page.text,
        pictures,
    }
}

fn begin(page: &mut Page) {
    page.say("Can this machine do it?", "`doctor` checks every condition of a build and changes nothing. This machine has no engine yet:");
    page.run("sdbuild doctor", 3);
    page.laptop.start_engine();
    page.say("", "With an engine:");
    page.run("sdbuild doctor", 0);
    page.say("A configuration", "`init` finds your public keys in `~/.ssh` and writes a `sd-card.nix` that you can read and change:");
    page.run("sdbuild init --hostname pi --yes", 0);
}

fn check(page: &mut Page) {
    let (on, off) = ("openssh.enable = true", "openssh.enable = false");
    page.say("Will it let you in?", &format!("`check` finds what would keep the board from booting, or you from logging in, and builds nothing. This configuration sets `services.{off}`:"));
    page.laptop.edit(|text| text.replace(on, off));
    page.run("sdbuild check", 6);
    page.say("", "Without that line:");
    page.laptop.edit(|text| text.replace(off, on));
    page.run("sdbuild check", 0);
}

/// Builds the image; returns pictures of the build.
fn build(page: &mut Page) -> Pictures {
    page.say("The image", "During the build, the end of the screen shows how far it is, and the derivations that are being built and downloaded:\n\n![A build in progress](building.svg)\n\nThis remains at the end. A phase that took no time is not told; if standard output is not a terminal, the path of the image is written to it:");
    let run = page.run("sdbuild build", 0);
    let live = picture::of(&run, |screen| {
        let is_building = screen.contains(" % ") && screen.contains(" Build ");
        usize::from(is_building) * screen.matches("     building ").count()
    });
    let end = picture::of(&run, |screen| usize::from(screen.contains("sdbuild flash")));
    Pictures { live, end }
}

fn fail(page: &mut Page) {
    let script = "cowsay hello > $out";
    with_package(&page.laptop, "hello-1.0", script);
    page.say("When a build fails", &format!("This package needs a program that does not exist:\n\n```nix\n(runCommand \"hello-1.0\" {{ }} \"{script}\")\n```"));
    page.run("sdbuild build", 4);
    page.say("", "The hint opens a shell with the environment of that package, in the same builder; its name is enough. Without `--run` you get a prompt.");
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
    page.say("Cleaning up", "Container images, the store and downloads stay, so that the next build is fast. `clean --old` keeps what the last image of each configuration needs, `clean` nothing; without `--yes` they ask first.");
    page.run("sdbuild status", 0);
    page.run("sdbuild clean --old --yes", 0);
    page.run("sdbuild clean --yes", 0);
    page.run("sdbuild status", 0);
}

#[test]
fn tour_matches_what_happens() {
    if !engine_available() || !root_available() {
        return;
    }
    let before = Machine::snapshot();
    let taken = take();
    let path = |name: &str| root().join(name);
    if std::env::var_os("SDBUILD_TOUR_WRITE").is_some() {
        fs::write(path(TOUR), &taken.text).unwrap();
        for (name, picture) in taken.pictures.named() {
            fs::write(path(name), picture).unwrap();
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
    let [(live, new_live), (end, new_end)] = taken.pictures.named();
    let (was, is) = (mask::picture(&read(live)), mask::picture(new_live));
    assert_eq!(
        was, is,
        "{live} is not what happens; scripts/tour writes it anew"
    );
    // Its times and sizes differ from run to run; what counts is the path at the end.
    for picture in [&read(end), new_end] {
        assert!(picture.contains(".img.zst"), "{end}: {picture}");
    }
}
