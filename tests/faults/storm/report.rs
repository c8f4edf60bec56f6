//! The storm in words: a line for each run, a table of deeds and phases, a count.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::deeds::KINDS;
use super::live::End;
use super::moments::ALL;
use super::run::Record;

/// Where the logs of violations and the summary go.
pub fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults");
    fs::create_dir_all(&folder).unwrap();
    folder
}

impl Record {
    /// One line: seed, deed, phase and milliseconds, verdict.
    pub fn line(&self) -> String {
        let variant = if self.variant.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.variant)
        };
        let end = match self.end {
            None => "no end".to_owned(),
            Some((End::Code(code), after)) => {
                format!("exit {code} after {:.1} s", after.as_secs_f64())
            }
            Some((End::Signal(n), after)) => {
                format!("signal {n} after {:.1} s", after.as_secs_f64())
            }
        };
        let mut line = format!(
            "seed {:<8} {:<34} {:<9} {:>6} ms  {end}  ",
            self.seed,
            format!("{}{variant}", self.kind),
            self.phase.word(),
            self.moment.as_millis(),
        );
        if self.violations.is_empty() {
            line.push_str("ok");
        } else {
            write!(line, "VIOLATION: {}", self.violations.join("; ")).unwrap();
        }
        line
    }

    /// Keeps all that a run with a violation said. Names of other people's servers stay out of it.
    pub fn keep(&self) {
        let path = folder().join(format!("{}.log", self.seed));
        if self.violations.is_empty() {
            fs::remove_file(path).unwrap_or(());
            return;
        }
        fs::write(
            path,
            without_hosts(&format!("{}\n{}", self.line(), self.said)),
        )
        .unwrap();
    }
}

/// `text` with `MIRROR` for every host but our own.
fn without_hosts(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['/', ' ', '\n', '"']).unwrap_or(part.len());
        let host = if part.starts_with("127.0.0.1") {
            &part[..end]
        } else {
            "MIRROR"
        };
        write!(clean, "://{host}{}", &part[end..]).unwrap();
    }
    clean
}

/// Deeds × phases, with counts.
pub fn table(records: &[Record]) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for record in records {
        for key in [
            (record.kind, record.phase.word()),
            (record.kind, ""),
            ("", record.phase.word()),
        ] {
            *counts.entry(key).or_default() += 1;
        }
    }
    let mut table = format!("{:<24}", "deed");
    for phase in ALL {
        write!(table, "{:>10}", phase.word()).unwrap();
    }
    table.push_str("       all\n");
    for name in KINDS.iter().map(|kind| kind.name).chain([""]) {
        write!(table, "{:<24}", if name.is_empty() { "all" } else { name }).unwrap();
        for phase in ALL {
            let count = counts.get(&(name, phase.word()));
            write!(
                table,
                "{:>10}",
                count.map_or("·".to_owned(), usize::to_string)
            )
            .unwrap();
        }
        let all = counts.get(&(name, "")).copied();
        writeln!(
            table,
            "{:>10}",
            all.unwrap_or(if name.is_empty() { records.len() } else { 0 })
        )
        .unwrap();
    }
    table
}

/// The last line.
pub fn summary(records: &[Record]) -> String {
    let violations: usize = records.iter().map(|record| record.violations.len()).sum();
    format!("{} runs, {violations} violations", records.len())
}
