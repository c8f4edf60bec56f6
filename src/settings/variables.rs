//! The variables of the environment that sdbuild reads: the manual page lists them, and each with the name of a setting sets it.

/// Variables about the same thing.
#[derive(Debug)]
pub struct VariableGroup {
    /// What they are about.
    pub heading: &'static str,
    /// Names, separated by commas, with what they set.
    pub variables: &'static [(&'static str, &'static str)],
}

/// All variables.
#[rustfmt::skip]
pub static VARIABLES: [VariableGroup; 6] = [
    VariableGroup {
        heading: "The engine",
        variables: &[
            ("DOCKER_HOST", "Address of the engine, such as `ssh://me@server`."),
            ("DOCKER_CONTEXT", "Context of Docker that names the engine."),
            ("DOCKER_CONFIG", "Directory with Docker's contexts [default: ~/.docker]."),
            ("DOCKER_TLS_VERIFY", "If set, `tcp://` addresses are reached with TLS."),
            ("DOCKER_CERT_PATH", "Directory with ca.pem, cert.pem and key.pem for it [default: DOCKER_CONFIG]."),
            ("SSH_AUTH_SOCK", "The ssh-agent whose public keys `init` offers, and which `ssh` logs in with."),
        ],
    },
    VariableGroup {
        heading: "Instead of flags",
        variables: &[
            ("SDBUILD_NIXPKGS", "As --nixpkgs: a directory, the URL of a tarball, or a release."),
            ("SDBUILD_OFFLINE", "As --offline: true or false."),
            ("SDBUILD_SUBSTITUTERS", "As --substituters: the binary caches; empty for none."),
            ("SDBUILD_TRUSTED_PUBLIC_KEYS", "As --trusted-public-keys: the keys of the binary caches."),
            ("SDBUILD_EXTRA_SUBSTITUTERS", "As --extra-substituters: further binary caches."),
            ("SDBUILD_EXTRA_TRUSTED_PUBLIC_KEYS", "As --extra-trusted-public-keys: the keys of further binary caches."),
            ("SDBUILD_NETRC_FILE", "As --netrc-file: passwords for binary caches and sources."),
            ("SDBUILD_CA_FILE", "As --ca-file: certificate authorities to trust as well."),
            ("SDBUILD_CORES", "As --cores: cores for each derivation."),
            ("SDBUILD_JOBS", "As --jobs: derivations to build in parallel."),
            ("SDBUILD_GLUE", "As --glue: auto, native or emulated."),
            ("SDBUILD_FORMAT", "As --format: one of `sdbuild formats`."),
            ("SDBUILD_COMPRESS", "As --compress: none, zstd, xz or gzip."),
            ("SDBUILD_ON", "As --on: the provider of a machine to rent."),
            ("SDBUILD_BUILDERS", "As --builders: machines that Nix may send derivations to."),
            ("SDBUILD_BUILDER_KEY", "As --builder-key: the private key to log in to them with."),
        ],
    },
    VariableGroup {
        heading: "The network",
        variables: &[
            ("HTTP_PROXY, HTTPS_PROXY, ALL_PROXY", "Proxies for downloads of sdbuild, and of Nix in the builder. The names in lower case come first."),
            ("NO_PROXY", "Hosts that are reached without a proxy."),
            ("NIX_SSL_CERT_FILE, SSL_CERT_FILE", "File that --ca-file takes by default: the first of them that is set."),
            ("SDBUILD_DEBIAN_MIRROR", "Debian mirror to use first, before that of this machine's apt and the usual ones."),
            ("SDBUILD_STALL_TIMEOUT", "Seconds without a byte after which a download is tried again or elsewhere [default: 20]."),
            ("SDBUILD_CHANNELS", "Address where releases of nixpkgs are looked up [default: https://channels.nixos.org]."),
            ("SDBUILD_GITHUB", "Address where `init --github` looks up accounts [default: https://github.com]."),
            ("SDBUILD_OWN_ADDRESS_URL", "Address where --on aws asks for yours [default: https://checkip.amazonaws.com]."),
        ],
    },
    VariableGroup {
        heading: "Amazon EC2",
        variables: &[
            ("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN", "Credentials, as for AWS's own tools."),
            ("AWS_PROFILE", "Profile that --profile takes by default."),
            ("AWS_REGION, AWS_DEFAULT_REGION", "Region that --region takes by default."),
            ("AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE", "Files with the profiles [default: ~/.aws/config, ~/.aws/credentials]."),
            ("AWS_ENDPOINT_URL", "Address of a service that answers in place of AWS."),
        ],
    },
    VariableGroup {
        heading: "Files and what is kept",
        variables: &[
            ("SDBUILD_STORE", "The store volume, whose name must begin with sdbuild-store [default: sdbuild-store]."),
            ("SDBUILD_LOCKS", "Directory with package locks, instead of the built-in ones."),
            ("SDBUILD_MINI_NIXPKGS", "Another miniature nixpkgs for `try`."),
            ("SOURCE_DATE_EPOCH", "Seconds since 1970 that count as the current time in written files."),
            ("SUDO_UID, SUDO_GID", "As root: the owner of the image and of what `init` writes, and whose ~/.ssh is read."),
            ("HOME", "Your home directory."),
            ("XDG_CACHE_HOME, XDG_STATE_HOME, XDG_CONFIG_HOME", "Directories that have downloads, logs and your own settings in sdbuild/."),
            ("XDG_RUNTIME_DIR", "Directory in which the socket of a rootless engine is looked for."),
            ("PATH", "Directories of the programs that sdbuild runs, such as qemu and ssh."),
        ],
    },
    VariableGroup {
        heading: "The terminal",
        variables: &[
            ("LC_ALL, LANG", "The locale that `init` writes: the first of them that is set."),
            ("TERM", "If it is dumb, plain lines without colours."),
            ("COLUMNS", "Columns of the lines that go to a pager."),
            ("NO_COLOR", "If set, no colours."),
            ("CI", "If set, plain lines, as without a terminal."),
            ("CLICOLOR_FORCE", "If set, but not to 0, colours even without a terminal."),
        ],
    },
];

/// The variable that sets the setting `key`, if there is one: `SDBUILD_STALL_TIMEOUT` for `stall-timeout`.
pub(super) fn of_setting(key: &str) -> Option<&'static str> {
    let plain = |name: &str| name.strip_prefix("SDBUILD_").map(str::to_lowercase);
    let rows = VARIABLES.iter().flat_map(|group| group.variables);
    let mut names = rows.flat_map(|(names, _)| names.split(", "));
    names.find(|name| plain(name).is_some_and(|name| name.replace('_', "-") == key))
}
