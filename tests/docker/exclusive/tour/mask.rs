//! Masks what may differ between two tours: times, sizes, hashes, ids, and properties of the machine.

/// The lines of `text` with everything masked that may differ.
pub(super) fn tour(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in unwrapped(text).lines() {
        if is_of_the_machine(line) || is_of_the_moment(line) {
            continue;
        }
        lines.push(condition(line).unwrap_or_else(|| words(line)));
    }
    lines
}

/// Joins wrapped lines: where a line wraps depends on the lengths of numbers.
fn unwrapped(text: &str) -> String {
    let rows = text.lines().map(|line| match line.chars().count() {
        80 if !ends_with_a_column(line) => line.to_owned(),
        _ => format!("{line}\n"),
    });
    rows.collect()
}

/// Whether it is a row of a table that is as wide as the terminal: its last column is an age or a size.
fn ends_with_a_column(line: &str) -> bool {
    [" s", " min", " h", " d", " B", " kB", " MB", " GB"]
        .iter()
        .any(|unit| line.ends_with(unit))
}

/// A phase that may have taken no time, and then is not told.
fn is_of_the_moment(line: &str) -> bool {
    if line.starts_with("Clean up: done in ") {
        return true;
    }
    let phase = line.strip_prefix(" ✓ ");
    let always = ["Build ", "Boot "];
    phase.is_some_and(|phase| {
        !always.iter().any(|name| phase.starts_with(name)) && !phase.contains(".img")
    })
}

/// Whether it continues what a check of `doctor` says; what is to be written, behind an arrow, is the same on every machine.
fn is_of_the_machine(line: &str) -> bool {
    let text = line.trim();
    line.starts_with("                  ") && !text.is_empty() && !text.starts_with('→')
}

/// A line of `doctor`: which condition, and whether it stops a build.
fn condition(line: &str) -> Option<String> {
    let sign = line.chars().next().filter(|c| "✓!✗".contains(*c))?;
    let label: String = line.chars().skip(2).take(16).collect();
    let stops = if sign == '✗' { "✗" } else { "·" };
    Some(format!("{stops} {}", label.trim()))
}

fn words(line: &str) -> String {
    // Which of the two an engine lists first is its own choice.
    if line.contains(" sdbuild/registrar:") || line.contains(" sdbuild/builder:") {
        return "a container image".to_owned();
    }
    let words = line.split_whitespace().map(word);
    let masked = words.collect::<Vec<_>>().join(" ");
    // How a time or a size is written depends on how much it is.
    ["ms", "s", "min", "h", "d", "B", "kB", "MB", "GB"]
        .iter()
        .fold(format!("{masked} "), |text, unit| {
            text.replace(&format!(" 0 {unit} "), " 0 U ")
        })
        .replace(" 0 U 0 U ", " 0 U ")
        .trim_end()
        .to_owned()
}

/// A word with every number as 0 and every hash as #.
fn word(word: &str) -> String {
    // The end of a public key, and the number of a loop device.
    if word.starts_with('…') {
        return "…".to_owned();
    }
    if let Some((_, rest)) = word.split_once("/dev/loop") {
        return format!(
            "/dev/loop{}",
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
        );
    }
    let mut out = String::new();
    let mut run = String::new();
    let mut chars = word.chars().chain([' ']).peekable();
    while let Some(c) = chars.next() {
        // A point between digits is part of a number; one before the ending of a file is not, even behind an id of digits only.
        let before_digit = chars.peek().is_some_and(char::is_ascii_digit);
        let in_number = c == '.' && before_digit && run.chars().all(|c| c.is_ascii_digit());
        if c.is_ascii_alphanumeric() || in_number {
            run.push(c);
            continue;
        }
        out.push_str(&piece(&run));
        run.clear();
        out.push(c);
    }
    out.trim_end().to_owned()
}

fn piece(run: &str) -> String {
    let digits = run.chars().filter(char::is_ascii_digit).count();
    let is_lowercase = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    // An id may have no digit; no word has only letters that are hexadecimal digits.
    let is_hexadecimal = run.chars().all(|c| c.is_ascii_hexdigit());
    let hash = run.len() >= 12 && run.chars().all(is_lowercase) && (digits >= 2 || is_hexadecimal);
    let number = digits > 0 && run.chars().all(|c| c.is_ascii_digit() || c == '.');
    match () {
        () if hash => "#".to_owned(),
        () if number => "0".to_owned(),
        () => run.to_owned(),
    }
}

/// The lines that differ between two pages.
pub(super) fn difference(was: &[String], is: &[String]) -> String {
    let gone = was.iter().filter(|line| !is.contains(line));
    let new = is.iter().filter(|line| !was.contains(line));
    let mut out: Vec<String> = gone.map(|line| format!("- {line}")).collect();
    out.extend(new.map(|line| format!("+ {line}")));
    if out.is_empty() && was != is {
        out.push("the same lines in another order".to_owned());
    }
    out.join("\n")
}

/// The parts of a picture that are the same each time: its frame, and the lines before the build.
pub(super) fn picture(svg: &str) -> Vec<String> {
    // Where the name of a loop device wraps depends on its number.
    let is_same = |line: &&str| !line.contains(['✓', '✗', '%']) && !line.contains("sdbuild flash");
    let lines = svg.lines().take_while(is_same);
    lines.map(words).collect()
}

#[test]
fn only_expected_differences_are_masked() {
    let masked = |line: &str| tour(line).join("\n");
    assert_eq!(
        masked("upload: done in 0.1 s"),
        masked("upload: done in 12 ms")
    );
    let path = "error: /nix/store/n9yh947ffgdhgcvx35038izdr2zqfpn7-hello-1.0.drv failed";
    assert_eq!(masked(path), "error: /nix/store/#-hello-0.drv failed");
    for id in ["bc980bb350d8", "167361155112", "abcdefabcdef"] {
        let path = format!("the whole log: logs/build-{id}.log");
        assert_eq!(masked(&path), "the whole log: logs/build-#.log");
    }
    assert_eq!(masked("build  1 min 19 s"), masked("build       2.5 s"));
    assert_eq!(masked(" ✓ Upload          0.1 s"), "");
    let indent = " ".repeat(18);
    assert_eq!(masked(&format!("{indent}API 1.41")), "");
    assert_eq!(masked(&format!("{indent}→ a.b = true;")), "→ a.b = true;");
    assert_ne!(masked(" ✓ Build    14 built   2 s"), "");
    let wrapped = format!("{}\nb 1 s", "a".repeat(80));
    assert_eq!(
        masked(&wrapped),
        masked(&format!("{}b 12 s", "a".repeat(80)))
    );
    assert_ne!(masked("error: one"), masked("error: two"));
    let row = |age: &str| format!("downloads{age:>71}\nlogs");
    assert_eq!(masked(&row("2 h")), masked(&row("59 min")));
    assert_eq!(
        masked("✓ kernel          Linux 6.18"),
        masked("! kernel          Linux 5.1")
    );
    assert_ne!(masked("✓ engine          x"), masked("✗ engine          x"));
    assert_eq!(difference(&["a".into()], &["b".into()]), "- a\n+ b");
}
