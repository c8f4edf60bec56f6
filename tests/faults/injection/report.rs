//! Reports a campaign: a line for each run, a table of faults and phases, a count. The result of each run is kept in a file,
//! so that several invocations add up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fault_kinds::FAULT_KINDS;
use super::live_run::End;
use super::phases::ALL;
use super::run::Record;

/// Where the logs of violations and the summary go.
pub fn dir() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults");
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// The record of a run in the file.
#[derive(Debug, Deserialize, Serialize)]
pub struct KeptRecord {
    /// The commit that was tested, with a `+` when there were uncommitted changes.
    commit: String,
    seed: u64,
    kind: String,
    variant: String,
    /// Whether it ran with `--emulation private`.
    #[serde(default)]
    private: bool,
    phase: String,
    pub violations: Vec<String>,
}

/// The file with one line for each run; `scripts/faults --summary` names it.
#[derive(Debug)]
pub struct RunLog(PathBuf);

impl RunLog {
    pub fn open() -> Self {
        let own = || {
            let path = dir().join("records");
            fs::remove_file(&path).unwrap_or(());
            path
        };
        Self(std::env::var_os("SDBUILD_FAULTS_SUMMARY").map_or_else(own, PathBuf::from))
    }

    pub fn write(&self, record: &Record) {
        let kept = KeptRecord {
            commit: std::env::var("SDBUILD_FAULTS_COMMIT").unwrap_or_default(),
            seed: record.seed,
            kind: record.kind.to_owned(),
            variant: record.variant.clone(),
            private: record.private,
            phase: record.phase.word().to_owned(),
            violations: record.violations.clone(),
        };
        let mut line = serde_json::to_string(&kept).unwrap();
        line.push('\n');
        let file = fs::File::options().create(true).append(true).open(&self.0);
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// The seed after the last one in the file.
    pub fn next_seed(&self) -> Option<u64> {
        self.read().iter().map(|run| run.seed + 1).max()
    }

    /// All runs in the file, those of earlier invocations as well.
    pub fn read(&self) -> Vec<KeptRecord> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let lines = text.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Record {
    /// One line: seed, fault, phase, milliseconds, result.
    pub fn line(&self) -> String {
        let private = if self.private { "private" } else { "" };
        let words = [self.variant.trim(), private];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let variant =
            if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
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

    /// Writes the output of a run with violations to a file, without the names of mirrors.
    pub fn keep(&self) {
        let path = dir().join(format!("{}.log", self.seed));
        if self.violations.is_empty() {
            fs::remove_file(path).unwrap_or(());
            return;
        }
        fs::write(path, without_hosts(&format!("{}\n{}", self.line(), self.output))).unwrap();
    }
}

/// `text` with `MIRROR` for every host but our own.
fn without_hosts(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['/', ' ', '\n', '"']).unwrap_or(part.len());
        let host = if part.starts_with("127.0.0.1") { &part[..end] } else { "MIRROR" };
        write!(clean, "://{host}{}", &part[end..]).unwrap();
    }
    clean
}

/// The table of counts by fault and phase.
pub fn table(records: &[KeptRecord]) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for record in records {
        let (kind, phase) = (record.kind.as_str(), record.phase.as_str());
        for key in [(kind, phase), (kind, ""), ("", phase), ("", "")] {
            *counts.entry(key).or_default() += 1;
        }
    }
    let cell = |kind, phase| match counts.get(&(kind, phase)) {
        None => "·".to_owned(),
        Some(count) => count.to_string(),
    };
    let mut table = format!("{:<24}", "fault");
    for phase in ALL {
        write!(table, "{:>10}", phase.word()).unwrap();
    }
    table.push_str("       all\n");
    for name in FAULT_KINDS.iter().map(|kind| kind.name).chain([""]) {
        write!(table, "{:<24}", if name.is_empty() { "all" } else { name }).unwrap();
        for phase in ALL.iter().map(|phase| phase.word()).chain([""]) {
            write!(table, "{:>10}", cell(name, phase)).unwrap();
        }
        table.push('\n');
    }
    let rarest = FAULT_KINDS
        .iter()
        .min_by_key(|kind| counts.get(&(kind.name, "")).copied().unwrap_or(0))
        .unwrap();
    let missed: Vec<&str> = ALL
        .iter()
        .map(|phase| phase.word())
        .filter(|phase| !counts.contains_key(&("", *phase)))
        .collect();
    writeln!(
        table,
        "rarest fault: {} ({}); with private emulation: {}; phases never hit: {}",
        rarest.name,
        cell(rarest.name, ""),
        records.iter().filter(|run| run.private).count(),
        if missed.is_empty() { "none".to_owned() } else { missed.join(", ") }
    )
    .unwrap();
    table
}

/// The last line: the numbers of runs and violations, and the commits.
pub fn summary(records: &[KeptRecord]) -> String {
    let violations: usize = records.iter().map(|record| record.violations.len()).sum();
    let commits: BTreeSet<&str> = records.iter().map(|r| r.commit.as_str()).collect();
    let commits: Vec<&str> = commits.into_iter().filter(|c| !c.is_empty()).collect();
    let of = if commits.is_empty() {
        String::new()
    } else {
        format!(" (commit {})", commits.join(", "))
    };
    format!("{} runs, {violations} violations{of}", records.len())
}
