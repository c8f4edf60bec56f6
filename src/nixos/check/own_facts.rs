//! The facts about the user's own units and settings, about names of files that are below `/etc` twice, and about values that are not
//! filled in.

use serde::Deserialize;

/// Settings of the user's own units that systemd does not follow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct OwnUnitFacts {
    /// Targets that nothing in the configuration makes, for which units are to be started. systemd itself has many of them. Also names
    /// without a kind of units: `multi-user`.
    pub missing_targets: Vec<TargetFacts>,
    /// The names of the targets that the configuration makes, without `.target`.
    pub targets: Vec<String>,
    /// Names of timers that nothing starts.
    pub idle_timers: Vec<String>,
    /// Users and groups as which services are to run, and that do not exist.
    pub missing_accounts: Vec<AccountFacts>,
    /// The user whom the console is to log in, and who does not exist.
    pub missing_login: Option<String>,
    /// The names of all users.
    pub accounts: Vec<String>,
    /// The names of the users as which services run, or whom a display manager logs in.
    pub service_users: Vec<String>,
    /// Units whose names have the suffix that NixOS adds.
    pub suffixed: Vec<SuffixedFacts>,
    /// Options with a path without quotes, of which the card has no file.
    pub bare_paths: Vec<BarePathFacts>,
    /// Options with commands that are written for a shell.
    pub shell_commands: Vec<ShellCommandFacts>,
}

/// A target for which a unit is to be started.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TargetFacts {
    /// The kind of the unit: `services`.
    pub kind: String,
    /// The name of the unit in the configuration.
    pub unit: String,
    /// The option that names the target: `wantedBy`.
    pub option: String,
    /// The target: `multi-user.target`.
    pub target: String,
    /// All that the option has.
    pub all: Vec<String>,
}

/// A user or a group as which a service is to run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AccountFacts {
    /// The name of the service.
    pub service: String,
    /// `User` or `Group`.
    pub option: String,
    /// The name of the user or of the group.
    pub name: String,
}

/// An option of a service with a command that is written for a shell.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ShellCommandFacts {
    /// The name of the service.
    pub service: String,
    /// `ExecStart`, for instance.
    pub option: String,
    /// The first sign of a shell in it: `&&`.
    pub sign: String,
    /// Whether the option has a list of commands.
    pub is_list: bool,
}

/// Names and values in sets of which NixOS does not check the names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OwnSettingFacts {
    /// Such sets.
    pub sets: Vec<SettingsFacts>,
    /// The times of timers.
    pub times: Vec<TimeFacts>,
    /// The options with experimental features of Nix.
    pub features: Vec<FeaturesFacts>,
    /// `services.openssh.settings.Port`, if `services.openssh.ports` does not have it.
    pub ssh_port: Option<u32>,
    /// The configuration sets `services.openssh.ports`.
    pub has_own_ssh_ports: bool,
    /// `powerManagement.cpuFreqGovernor`.
    pub governor: Option<String>,
    /// `console.keyMap`, if that is no path.
    pub key_map: Option<String>,
}

impl OwnSettingFacts {
    /// Removes what is not defined where `is_written` says so of the path of an option.
    pub(super) fn keep_own(&mut self, is_written: impl Fn(&[String]) -> bool) {
        for set in &mut self.sets {
            let path = &set.path;
            let is_own = |name: &String| {
                let path = path.iter().chain([name]).cloned();
                is_written(&path.collect::<Vec<_>>())
            };
            set.names.retain(is_own);
        }
        let port = ["services", "openssh", "settings", "Port"].map(str::to_owned);
        self.ssh_port = self.ssh_port.filter(|_| is_written(&port));
        self.times.retain(|time| is_written(&time.option));
        self.features.retain(|one| is_written(&one.option));
    }
}

/// A set of settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SettingsFacts {
    /// The path of its option.
    pub path: Vec<String>,
    /// The names of the settings in it.
    pub names: Vec<String>,
}

/// A time at which a timer starts its service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TimeFacts {
    /// The path of the option.
    pub option: Vec<String>,
    /// The time, as systemd is to read it.
    pub text: String,
    /// The option has no other time.
    pub is_only: bool,
}

/// Experimental features of Nix.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FeaturesFacts {
    /// The path of the option.
    pub option: Vec<String>,
    /// Its text, or the elements of its list.
    pub texts: Vec<String>,
}

/// A file of `environment.etc` that gets into a directory `etc` in `/etc`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EtcNameFacts {
    /// Its name in the configuration.
    pub name: String,
    /// Where it gets to, below `/etc`: its name, if no other option says it.
    pub target: String,
    /// The same without that directory.
    pub meant: String,
    /// The option with its content: `text` or `source`.
    pub content: String,
}

/// An option with what stands for a value of the user's own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UnfilledFacts {
    /// The path of the option.
    pub option: Vec<String>,
    /// That text.
    pub text: String,
}

/// A program, or the script of an interpreter, that a service starts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProgramFacts {
    /// The name of the service.
    pub service: String,
    /// The option with its command, such as `ExecStart`.
    pub option: String,
    /// Its path, or its name alone.
    pub path: String,
    /// The number of that command among those of the option, from 0.
    #[serde(default)]
    pub command: usize,
    /// How many commands the option has.
    #[serde(default)]
    pub commands: usize,
    /// An empty command precedes them.
    #[serde(default)]
    pub is_reset: bool,
    /// The option has other definitions, before which that of the user goes.
    #[serde(default)]
    pub is_forced: bool,
}

/// An option whose secret is in the store; the secret itself is not among the facts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StoredSecretFacts {
    /// The path of the object with the option: `services.tailscale`. That of a peer is the path of its interface.
    pub object: Vec<String>,
    /// The name of the option, such as `privateKey`.
    pub name: String,
    /// Whether it is a file, of which the store has a copy.
    pub is_file: bool,
}

/// A file in `/etc` that is a link to a path, written as a string.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EtcLinkFacts {
    /// Its name in `environment.etc`.
    pub name: String,
    /// The path.
    pub source: String,
}

/// A service that listens on all interfaces, and not for other machines.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClosedPortFacts {
    /// The name of the service in `services`.
    pub service: String,
    /// Its TCP ports that the firewall keeps closed.
    pub ports: Vec<u16>,
    /// `services.….openFirewall` opens them.
    pub has_switch: bool,
}

/// An option of a service with a path of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BarePathFacts {
    /// The name of the service.
    pub service: String,
    /// `ExecStart`, for instance.
    pub option: String,
    /// The path of the file, as the user's file names it: `./run.sh`.
    pub file: String,
}

/// A unit whose name has the suffix that NixOS adds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SuffixedFacts {
    /// The kind of the unit: `services`.
    pub kind: String,
    /// Its name in the configuration: `a.service`.
    pub unit: String,
}
