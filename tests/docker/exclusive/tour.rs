//! Repeats the tour in docs/tour.md on a terminal of 80 columns with an engine of its own, and compares the page and
//! its picture. `scripts/tour` writes them.

mod machine;
mod mask;
mod picture;

use std::fmt::Write as _;
use std::fs;

use machine::{Laptop, Run};

use crate::support::*;

/// The path of the picture.
const PICTURE: &str = "docs/build.svg";
const TOUR: &str = "docs/tour.md";

/// The page and the picture of a new tour.
struct Taken {
    text: String,
    picture: String,
}

const HEAD: &str = "\
# A tour

What a terminal of 80 columns shows, from an empty machine to an image and back. `scripts/tour` wrote this page by
doing all of it, and a test does it again and compares: only times, sizes, hashes and what differs between machines
may change. So that it takes a minute, not an evening, `SDBUILD_NIXPKGS` names the [miniature
nixpkgs](../tests/mini-nixpkgs/README.md) here, and `SDBUILD_SUBSTITUTERS` is empty: without them everything looks the
same and takes longer.
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
    let picture = build(&mut page);
    fail(&mut page);
    end(&mut page);
    Taken {
        text: page.text,
        picture,
    }
}

fn begin(page: &mut Page) {
    page.say("Can this machine do it?", "`doctor` looks at everything that a build needs and changes nothing. Here there is no engine yet:");
    page.run("sdbuild doctor", 3);
    page.laptop.start_engine();
    page.say("", "With one:");
    page.run("sdbuild doctor", 0);
    page.say("A configuration", "`init` finds your public keys in `~/.ssh` and writes a `sd-card.nix` that you can read and change:");
    page.run("sdbuild init --hostname pi", 0);
}

fn check(page: &mut Page) {
    let (on, off) = ("openssh.enable = true", "openssh.enable = false");
    page.say("Will it let you in?", &format!("`check` finds what would keep the board from booting, or you out of it, and builds nothing. Here somebody has set `services.{off}`:"));
    page.laptop.edit(|text| text.replace(on, off));
    page.run("sdbuild check", 6);
    page.say("", "And with that line taken back:");
    page.laptop.edit(|text| text.replace(off, on));
    page.run("sdbuild check", 0);
}

/// Builds the image; returns the picture of the build.
fn build(page: &mut Page) -> String {
    page.say("The image", "While it builds, the end of the screen shows what is fetched and built now:\n\n![a build](build.svg)\n\nThis is what is left of that in the end; the last line is the image's path:");
    let run = page.run("sdbuild build", 0);
    // Of the moment when the view is complete and shows the most derivations.
    picture::of(&run, |screen| {
        let whole = screen.contains(" build with Nix: ");
        usize::from(whole) * screen.matches("  building ").count()
    })
}

fn fail(page: &mut Page) {
    let script = "cowsay hello > $out";
    with_package(&page.laptop, "hello-1.0", script);
    page.say("When a build fails", &format!("Somebody adds a package that wants a program which is not there:\n\n```nix\n(runCommand \"hello-1.0\" {{ }} \"{script}\")\n```"));
    page.run("sdbuild build", 4);
    page.say("", "The hint leads to a shell with that package's environment, in the same builder; the name will do as well. Without `--run` it is a prompt.");
    page.run("sdbuild shell hello-1.0 --run '. $buildCommandPath'", 127);
    with_package(&page.laptop, "slow-1.0", "sleep 600");
    page.say(
        "Ctrl-C",
        "Whenever you stop it, what it borrowed is given back before it ends:",
    );
    let interrupted = page.laptop.interrupts("sdbuild build", "slow-1.0");
    page.show(&interrupted);
}

fn end(page: &mut Page) {
    page.say("What is here, and giving it back", "Container images, the store and downloads stay, so that the next build is quick. `clean` takes them away; without `--yes` it asks first.");
    page.run("sdbuild status", 0);
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
        fs::write(path(PICTURE), &taken.picture).unwrap();
    }
    before.assert_unchanged();
    let read = |name: &str| fs::read_to_string(path(name)).unwrap();
    let (was, is) = (mask::tour(&read(TOUR)), mask::tour(&taken.text));
    let difference = mask::difference(&was, &is);
    assert!(
        difference.is_empty(),
        "{TOUR} is not what happens; scripts/tour writes it anew\n{difference}"
    );
    let (was, is) = (mask::picture(&read(PICTURE)), mask::picture(&taken.picture));
    assert_eq!(
        was, is,
        "{PICTURE} is not what happens; scripts/tour writes it anew"
    );
}
