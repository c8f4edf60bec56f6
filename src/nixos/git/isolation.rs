//! What keeps git to itself: the variables and settings with which it runs no program of a repository, asks no questions, and reaches
//! no other repository than it may.

use sdbuild_core::failure::Failure;
use sdbuild_core::http_url::without_secrets;

/// Variables that would make git look at another repository than that of the directory, or read its arguments in another
/// way. git sets some of them for hooks and aliases.
pub(super) const REMOVED_VARIABLES: [&str; 13] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
    "GIT_ATTR_SOURCE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
];
/// Programs of a repository that `ls-files`, `status` and `rev-list` would run. Filters of files have names and are found by
/// [`without_filters`]; the empty value means none also to versions that know no `false` there.
pub(super) const NO_PROGRAMS: [&str; 3] = [
    "core.fsmonitor=",
    "core.hooksPath=/dev/null",
    "core.askPass=",
];
/// No questions are asked, on the terminal or in a window: neither by git, nor by a credential helper that knows these (Git Credential
/// Manager), nor by ssh, whatever program the user has in its place. An empty program is none for git, before any other setting. For
/// releases of ssh before 8.4, which do not know the last one, it is a program that fails.
pub(super) const WITHOUT_QUESTIONS: [(&str, &str); 5] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GCM_INTERACTIVE", "never"),
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS", ""),
    ("SSH_ASKPASS_REQUIRE", "never"),
];
/// ssh fails where it would ask for a password or the trust in a host.
pub(super) const SSH_WITHOUT_QUESTIONS: &str = "core.sshCommand=ssh -o BatchMode=yes";
/// The user's own program in the place of ssh, as git lists it.
pub(super) const SSH_PROGRAM: &str = "core.sshcommand";

/// How git may reach other repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::nixos) enum Protocol {
    /// Not at all: no protocol has the name that git is given. What is missing in a partial clone is not fetched, with
    /// whatever program.
    None,
    /// As directories of this machine.
    File,
    /// By SSH, with the user's keys and known hosts.
    Ssh,
    /// By HTTPS, with the user's credential helpers; by HTTP or SSH too, because the user's settings may have another address
    /// for a server (`url.….insteadOf`).
    Https,
}

impl Protocol {
    /// The protocol of `url`. A usage error for another one than `ssh:`, `file:`, `https:` and `http:`.
    pub(in crate::nixos) fn of(url: &str) -> Result<Self, Failure> {
        match url.split_once(':') {
            Some(("ssh", _)) => Ok(Self::Ssh),
            Some(("file", _)) => Ok(Self::File),
            Some(("https" | "http", _)) => Ok(Self::Https),
            Some(_) | None => Err(Failure::usage(format!(
                "{} is neither ssh:, file: nor https:",
                without_secrets(url)
            ))),
        }
    }

    /// The value of `GIT_ALLOW_PROTOCOL`.
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::File => "file",
            Self::Ssh => "ssh",
            Self::Https => "https:http:ssh",
        }
    }
}

/// Settings that switch off every filter of files among the settings `names`. Whether a file is unchanged is then decided by
/// its bytes where its time does not show it.
pub(super) fn without_filters(names: &[String]) -> Result<Vec<String>, Failure> {
    let mut off = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("filter.")) {
        let value = match name.rsplit_once('.').map(|(_, key)| key) {
            Some("clean" | "smudge" | "process") => "",
            Some("required") => "false",
            _ => continue,
        };
        // git would take what precedes the first one for the name.
        if name.contains('=') {
            return Err(
                Failure::usage(format!("the git setting `{name}` has a `=` in its name"))
                    .hint("remove it, or give path:DIR, which does not ask git"),
            );
        }
        off.push(format!("{name}={value}"));
    }
    Ok(off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_of_files_is_switched_off() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        let all = names(&[
            "core.editor",
            "filter.Big Files.clean",
            "filter.a.b.process",
            "filter.lfs.required",
            "filter.x.other",
        ]);
        let off = without_filters(&all).unwrap();
        let expected = [
            "filter.Big Files.clean=",
            "filter.a.b.process=",
            "filter.lfs.required=false",
        ];
        assert_eq!(off, expected);
        // `-c filter.a=b.clean=` would set `filter.a`.
        without_filters(&names(&["filter.a=b.clean"])).unwrap_err();
    }
}
