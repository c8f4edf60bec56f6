//! The table of errors that sdbuild recognises, with what helps. [docs/errors.md](../../../../docs/errors.md) has it in between two marks: a
//! test compares both.

/// A part of the page.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Syntax,
    Names,
    Options,
    Packages,
    Files,
    Flakes,
    Build,
    Machine,
}

/// What a row says.
#[derive(Clone, Copy, Debug)]
struct Entry {
    #[cfg(test)]
    section: Section,
    /// What the user sees; `…` stands for names, paths and numbers.
    #[cfg(test)]
    when: &'static str,
    /// What helps; `{name}` stands for a value.
    cure: &'static str,
}

/// A row with the values of one error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) row: Row,
    values: Vec<(&'static str, String)>,
    /// What is more specific than the row.
    specific: Option<String>,
}

impl Advice {
    /// Gives the value `name` of the row.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "texts, references and numbers"
    )]
    pub(super) fn and(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.push((name, value.to_string()));
        self
    }

    /// What helps, as a sentence.
    pub(super) fn text(&self) -> String {
        if let Some(text) = &self.specific {
            return text.clone();
        }
        let cure = self.row.entry().cure.to_owned();
        self.values.iter().fold(cure, |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
    }
}

macro_rules! rows {
    ($($row:ident $section:ident $when:literal $cure:literal;)*) => {
        /// A row of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Row { $($row,)* }

        impl Row {
            /// All rows, in the order of the page.
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$row,)*];

            const fn entry(self) -> Entry {
                match self {
                    $(Self::$row => Entry {
                        #[cfg(test)]
                        section: Section::$section,
                        #[cfg(test)]
                        when: $when,
                        cure: $cure,
                    },)*
                }
            }
        }
    };
}

impl Row {
    /// The row without values.
    pub(super) fn advice(self) -> Advice {
        Advice {
            row: self,
            values: Vec::new(),
            specific: None,
        }
    }

    /// The row with the value `name`.
    pub(super) fn with(self, name: &'static str, value: impl ToString) -> Advice {
        self.advice().and(name, value)
    }

    /// The row with a `text` that is more specific.
    pub(super) fn saying(self, text: impl Into<String>) -> Advice {
        Advice {
            specific: Some(text.into()),
            ..self.advice()
        }
    }
}

rows! {
    // Syntax and form of a file.
    Semicolon Syntax "`syntax error, … expecting ';'`"
        "a `;` is missing at the end of line {line}";
    ExtraSemicolon Syntax "`unexpected ';'`, before `)` or at the end"
        "remove the `;`, or write it after the bracket that ends the value. Nothing may follow the last `}` of a file";
    ClosedTooEarly Syntax "`expecting end of file`"
        "line {line} closes the { … } of the whole file. There is one closing bracket too many, or an opening one is missing before it";
    NotClosed Syntax "`syntax error`, after a bracket, quote or comment that is not closed"
        "the `{bracket}` of line {line} is not closed";
    NotOpened Syntax "`syntax error`, at a bracket that closes nothing"
        "nothing is open at the `{bracket}` of line {line}. Remove it, or add the opening bracket that is missing before it";
    Definition Syntax "`unexpected …, expecting '.' or '='`, or a `=` without a value"
        "write NAME = VALUE; in line {line}";
    Comma Syntax "`unexpected ','`"
        "remove the comma. The elements of a list are separated by spaces, and definitions end with `;`";
    StraightQuotes Syntax "`unexpected invalid token`, at another quote or an invisible character"
        "a text needs straight double quotes, \"…\", and no invisible characters, which are copied from some pages. Write the line again by hand";
    ShellVariable Syntax "`syntax error`, at `$`"
        "put the text in quotes. In a string, `${` begins an expression of Nix: write `\\${` in \"…\", and `''${` in ''…''";
    Keywords Syntax "`syntax error`, after `let` or `if`"
        "the definitions of a `let` end with `in`, and an `if` needs `then` and `else`";
    EmptyFile Syntax "`syntax error`, in a file without code"
        "the file is empty. Write `{ }` into it, or remove it from the imports; `sdbuild init` in an empty directory writes a whole configuration";
    Encoding Syntax "`invalid UTF-8 byte`, or `syntax error` in a file that is not UTF-8"
        "save the file as UTF-8 without a byte order mark";
    OtherSyntax Syntax "any other `syntax error`"
        "look there and before it for a missing `;`, quote or bracket, and for a text without quotes";
    DefinedTwice Syntax "`attribute '…' already defined at …`"
        "remove the definition in line {first} or the one in line {second}. Of two lists, make one";
    NotAFunction Syntax "`attempt to call something which is not a function`"
        "what is before the argument is not a function. Put several values into a list, [ a b ], and join two lists with ++";
    CallInList Syntax "`is not of type …`, of a function in a list"
        "a call inside a list needs parentheses: [ (callPackage ./x.nix { }) ]";

    // Names that Nix does not find.
    Similar Names "a name, option or output that nothing has, with a similar one"
        "did you mean {name}?";
    ModuleArgument Names "`undefined variable`, of `pkgs`, `lib`, `config` or `modulesPath`"
        "begin the module with its arguments: {header}";
    InOutputs Names "`undefined variable`, in the outputs of a flake"
        "add an input to the { … }: of the outputs. In place of lib and pkgs, write nixpkgs.lib and nixpkgs.legacyPackages.aarch64-linux there";
    LibraryFunction Names "`undefined variable`, or `attribute … missing`, of a function of `lib`"
        "{name} is a function of lib. Write lib.{name}";
    SimilarPackage Names "`undefined variable` or `attribute … missing`, of a package"
        "nixpkgs has no package {name}. Did you mean {similar}? Search for others: https://search.nixos.org/packages?query={name}";
    NoSuchPackage Names "the same where no package has a name like it"
        "nixpkgs has no package {name}. Find its name: https://search.nixos.org/packages?query={name}";
    Kernel Names "`attribute 'linuxPackages_…' missing`, or `linux … was removed`"
        "nixpkgs has no kernel {name}. Its newest one is pkgs.linuxPackages_latest";
    Boolean Names "`undefined variable`, of `yes`, `on`, `True` and their like"
        "write {value} instead of {name}";
    CheckName Names "any other `undefined variable`"
        "check the spelling of {name}. A package is pkgs.{name}, and a text needs double quotes";
    CheckAttribute Names "`attribute … missing`, or `The option … does not exist`, where nothing has a name like it"
        "check the name: https://search.nixos.org";
    SpecialArgs Names "`attribute … missing`, of an argument of a module in a flake"
        "{module} asks for the argument {argument}. In flake.nix, write specialArgs = { {pass} }; next to modules = …";
    NoSpecialArgs Names "the same without a flake"
        "{module} asks for the argument {argument}, which only a flake passes (specialArgs). Import what it is for by its path, or with builtins.fetchTarball";
    NoEllipsis Names "`called with unexpected argument`, of a module or of the outputs of a flake"
        "the function gets more arguments than it names: write {header} in line {line}";

    InputFunction Names "`undefined variable` or `attribute … missing`, in a file of an input"
        "{file} is a module of the input {input}, which needs what that input's own function passes to it. In flake.nix, write {input}.lib.{function} in place of nixpkgs.lib.nixosSystem";
    InputFile Names "the same of an input without such a function"
        "{file} is a file of an input, and needs an overlay or an argument that the configuration does not have. See the input's README";

    // Options and their values.
    ForeignModule Options "`The option … does not exist`, of an option of Home Manager, nixos-hardware, agenix, sops-nix or disko"
        "the module of {name} has this option, but is not part of nixpkgs: add {module} to the {where}";
    OfType Options "`is not of type …`, or `expected … but found …`"
        "write {form}";
    WriteValue Options "the same where the value is known"
        "write {option} = {value};";
    PrivateKey Options "`is not of type …`, of a private key"
        "that is a private key, but a login needs the public one. Give the content of its .pub file";
    AcceptedValues Options "`is not of type …`, of another type"
        "accepted values: https://search.nixos.org/options?query={option}";
    OptionsBelow Options "`trying to define a value of type … rather than an attribute set`"
        "{option} is a set of options. Define one of them: https://search.nixos.org/options?query={option}";
    ByImage Options "`conflicting definition values`, one of them of the image"
        "the image sets {option} itself. On a card that line of yours has no meaning. If the same configuration is also installed on another disk, keep the line, leave the module of the image out of imports, and build with --format sd-card and image.modules.sd-card.{option} = lib.mkForce …;";
    ByVariant Options "`conflicting definition values`, one of them of an image that sdbuild or `--format` chose"
        "the image {variant} sets {option} too. The configuration itself may keep its definition: image.modules.{variant}.{option} = lib.mkForce …; says which of the two the image takes";
    OtherDefinition Options "`conflicting definition values`, one of another module"
        "another module sets {option} too. Remove your definition in {own}, or write lib.mkForce before its value to override the other one";
    KeepOne Options "other `conflicting definition values`"
        "keep one of the definitions";
    RaspberryPiLoader Options "`boot.loader.raspberryPi`, which NixOS no longer has"
        "nixpkgs' image starts by U-Boot without it, so remove it. The module of nixos-raspberrypi calls it boot.loader.raspberry-pi";
    NoValue Options "`was accessed but has no value defined`"
        "write {option} = …; with your own value: https://search.nixos.org/options?query={option}";
    OwnValue Options "`infinite recursion encountered`, of an option that reads its own value"
        "{option} is defined by its own value. Write a value instead of {source}, or only what you add: NixOS joins the definitions of all modules";
    ImportsNeed Options "the same where `imports` use `pkgs` or `config`"
        "the imports in {module} use {argument}, which exists only once all imports are known. Name a file by modulesPath or builtins.fetchTarball instead, and use lib.mkIf inside a module that is always imported";
    OtherRecursion Options "other `infinite recursion encountered`"
        "look for a definition that reads config.… of the same option. lib.mkForce, lib.mkBefore and lib.mkAfter change a value without reading it";
    PathInQuotes Options "`doesn't represent an absolute path`, or a text in place of a path"
        "write a path without quotes: {path}";
    JoinLists Options "`cannot coerce … to a string`"
        "join lists with `++`, and texts with `+`. In a text, write toString NUMBER, and lib.concatStringsSep \" \" LIST";

    EmulatesItself Options "`assertion '…' failed`, in binfmt.nix"
        "boot.binfmt.emulatedSystems names the system of the image itself, whose programs the board runs without emulation. Remove it there. It is for the computer that builds, and sdbuild does not need it";

    // Image, platform and packages.
    ImportImage Packages "`attribute 'sdImage' … not found`, or `The option 'sdImage' does not exist`"
        "add {module} to the imports of {file}, and modulesPath to its { … }:";
    NoVariant Packages "`the configuration has no image variant …`"
        "take one of those, or a format of `sdbuild formats`";
    NoVariants Packages "`has no image variants`"
        "use nixpkgs 25.05 or newer, which has them, or the format sd-card";
    NeedsKvm Packages "`is made in a virtual machine with KVM`"
        "`sdbuild formats` lists what is made without one";
    Unfree Packages "`has an unfree license`"
        "allow it in the configuration: nixpkgs.config.allowUnfreePredicate = pkg: builtins.elem (lib.getName pkg) [ \"{name}\" ];";
    Insecure Packages "`is marked as insecure`"
        "look for a newer version of it. To use this one anyway, write nixpkgs.config.permittedInsecurePackages = [ \"{name}\" ];";
    Removed Packages "`has been removed`, or `is not available on the requested hostPlatform`"
        "remove {name}, or take another package: https://search.nixos.org/packages";
    Replaced Packages "`has been renamed to`, or `has been removed` with a successor"
        "write {new} instead of {name}";
    WrongPlatform Packages "`is required to build`, or `required system or feature`"
        "neither this builder nor one of --builders has the platform or the feature that the configuration requires. Set nixpkgs.hostPlatform, or name the feature in the sixth field of a builder that has it";

    // Files of the configuration.
    MissingFile Files "`path '…' does not exist`, or `opening file '…': No such file`"
        "sdbuild uploads only the configuration's directory, without *.img files and what .gitignore and .sdbuildignore list. Put the file there, or give --root DIR to upload a directory above it";
    NotInNixpkgs Files "the same of a file of nixpkgs"
        "this nixpkgs has no file {path}. Its module for SD card images is (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\")";
    MovedModule Files "the same of nixpkgs' modules for SD cards in their old place"
        "nixpkgs has moved it: {new}";
    NoSearchPath Files "`was not found in the Nix search path`"
        "only <nixpkgs> exists here. Name a file by its path, or fetch it: {module}";
    UrlNotFound Files "`HTTP error 404`, of a download while the configuration is evaluated"
        "check the address, and that it needs no password. For an archive that needs a login, give --netrc-file FILE";

    EmptyVariable Files "an error about a value that `builtins.getEnv` is to give"
        "builtins.getEnv \"{name}\" ({place}) is empty here: the configuration is evaluated in a container, without the variables of this machine. Write the value, or set the option with --set";

    // Flakes.
    Untracked Flakes "`path '…' does not exist`, of a file of a flake"
        "a flake contains only files that git tracks: git add {path}";
    LockIncomplete Flakes "`requires lock file changes`"
        "`{command}` completes flake.lock. A build never changes it";
    IndirectInput Flakes "`is an indirect flake reference`"
        "give the input a URL in flake.nix, such as {url}, and run `{command}`. A build reads no registry";
    LocalInput Flakes "`path '/…' does not exist`, of an input"
        "the builder has only the flake's own files of this machine. Use a relative path inside it, or give --override-input INPUT DIR, which uploads DIR";
    NoOutputs Flakes "`lacks attribute 'outputs'`"
        "write in flake.nix: outputs = { self, nixpkgs, ... }: { nixosConfigurations.pi = nixpkgs.lib.nixosSystem { modules = [ ./configuration.nix ]; }; };";
    NotAFlake Flakes "the same of an input"
        "if that is not a flake, give the input `flake = false;`";
    DefineConfiguration Flakes "`has no nixosConfigurations`, or `is neither a NixOS configuration nor a derivation`"
        "define one in the outputs: nixosConfigurations.NAME = nixpkgs.lib.nixosSystem { modules = [ ./configuration.nix ]; };";
    NameOne Flakes "`has several configurations. Name one of them`"
        "for instance: {command}";
    FlakeForm Flakes "`expected … but got …`, or `has an unsupported attribute`, in flake.nix"
        "a flake.nix is a plain set of description, inputs, outputs and nixConfig. Only outputs is a function, the URL of an input is a text in quotes without ${…}, and options belong to a module";
    InputUrl Flakes "`input '…' is unsupported`, or `unexpected flake input attribute`"
        "give the input its address as a URL that begins with github:, gitlab:, git+https:, git+ssh: or https:, as in url = \"github:OWNER/REPOSITORY/BRANCH\";";
    ImpurePath Flakes "`access to absolute path '…' is forbidden`"
        "{path} is outside the flake. Copy what is read next to flake.nix, git add it, and write ./{name}. If it is a file on the machine that the image is for, write its path in quotes. Do not copy a secret, because everybody who has the card could read it";
    ImpureSearchPath Flakes "`cannot look up '<…>' in pure evaluation mode`"
        "a flake has no <{channel}>. Write \"${{channel}}\" with the input {channel}, or modulesPath for a module of nixpkgs. A missing input is declared with inputs.{channel}.url = \"{url}\"; and locked with {command}";
    ImpureSystem Flakes "`attribute 'currentSystem' missing`"
        "a flake does not know the system of the computer that evaluates it. Write \"aarch64-linux\" instead of builtins.currentSystem, and import nixpkgs { system = \"aarch64-linux\"; }";
    ImpureDownload Flakes "`requires a 'sha256' argument`"
        "in a flake, {function} needs a hash. Write builtins.{function} { url = …; sha256 = \"\"; }, run it again, and copy the hash from the message";
    Impure Flakes "other errors of pure evaluation"
        "a flake cannot use the environment, <nixpkgs>, builtins.currentSystem or files outside it. Make what it needs an input, or a file that git tracks";

    // The build of a derivation.
    WrongHash Build "`hash mismatch`"
        "if you trust what the server sends now, write {got} instead of {specified}";
    CheckEmulated Build "`the build of … failed … in checkPhase, under emulation`"
        "its tests ran under emulation, which the machines that build for NixOS's cache never do. Leave them out, in an overlay: NAME = prev.NAME.{change} { {switch} = false; }; or build it on an AArch64 machine: --builders or --on";
    ModuleMissing Build "`modprobe: FATAL: Module … not found`"
        "the kernel has no module {module}, which boot.initrd.availableKernelModules or boot.initrd.kernelModules asks for{place}. Remove it there. If another module asks for it, write boot.initrd.allowMissingModules = true; or where this nixpkgs does not have that option, nixpkgs.overlays = [ (_: prev: { makeModulesClosure = x: prev.makeModulesClosure (x // { allowMissing = true; }); }) ];";
    RootTooSmall Build "`Could not allocate block in ext2 filesystem`, or `No space left on device while populating`, of the image"
        "nixpkgs computed the root file system too small for its content, which happens with very many small files. Leave some out (documentation.enable = false), or set sdImage.rootFilesystemCreator to a tool that reserves more space";
    FirmwareTooSmall Build "`Disk full`, of the image"
        "make the firmware partition larger: sdImage.firmwareSize = 60; (MiB)";
    EmulatorCrash Build "`uncaught target signal`"
        "an emulated program crashed, which may be the emulator's fault. A build on a native engine (DOCKER_HOST) shows whether it is";
    NoEmulation Build "`Exec format error`, without emulation"
        "the build ran a program of another architecture, but this engine emulates none";
    NeedsBuild Build "`it imports a derivation that must be built first`"
        "`sdbuild build` builds it, under emulation where necessary";
    NoNativeGlue Build "`--glue native is not possible`"
        "--glue auto then builds under emulation, --glue emulated does so from the start";

    // This machine, the network and the binary caches.
    DiskFull Machine "`no space left, or no inode, on the store volume …`"
        "free some space where the engine keeps its volumes (docker system df; df -h; df -i). `sdbuild clean` removes the store volume with all results of earlier builds";
    RemoteDiskFull Machine "`no space left on the remote builder …`"
        "free some space there: nix-collect-garbage on the builder removes what nothing uses";
    TooMuchAtOnce Machine "`… ran out of memory`, or `… could not start another process`"
        "build fewer things at once (--jobs 1 --cores 2), or give the engine's machine more memory or processes (pids limit), and raise memory-mib in sdbuild.toml if it is set";
    NoHandler Machine "`… programs stopped running: their binfmt_misc entry vanished`"
        "something changed this host's binfmt_misc (a restart of systemd-binfmt does), or sdbuild's registrar, the container that holds the entry, was stopped (a warning above says so). Run it again";
    PrivateHandler Machine "`QEMU could not be registered inside the builder`"
        "check what changed on the engine's machine: user.max_user_namespaces, AppArmor, SELinux";
    Interrupted Machine "`the builder was stopped from outside`, or `lost the connection to sdbuild`"
        "the container was stopped, the engine was restarted, or the connection was interrupted. Run it again: finished builds are kept";
    BuilderLost Machine "`a remote builder was lost`, or `can no longer be used`"
        "run it again when the builder answers, which `sdbuild doctor` tests, or leave it out of --builders to build and emulate the rest here. What it had finished is kept";
    Clock Machine "`the certificate of a server is not valid`"
        "check that the clock of the engine's machine is right: date -u. If your own authority signs the certificate, or a proxy that reads TLS, give --ca-file FILE";
    RunAgain Machine "`a server that the builder needs does not answer`"
        "run it again. What is already fetched is kept";
    CheckNetwork Machine "`the builder cannot reach a server that it needs`"
        "check the network and the engine's DNS";
    CheckAddress Machine "the same of an address in the configuration"
        "check the address, the network, and the DNS of the engine's machine";
    OtherCache Machine "a binary cache that fails"
        "use another binary cache: --extra-substituters URL, with its key in --extra-trusted-public-keys";
    Fallback Machine "the same"
        "--fallback leaves that cache out for a minute at a time, and builds here what no other cache has, which may take hours";
    LoginPage Machine "`a binary cache answered with something other than …`"
        "open the addresses of your caches in a browser. A network that asks for a login there blocks the builder too";
    UntrustedKey Machine "`is not signed by a key that is trusted`"
        "if you trust that cache, give its key: --extra-trusted-public-keys KEY";
    Offline Machine "`the builder has no network (--offline) but needs one`"
        "run it once without --offline. What is fetched stays in the store volume";
    LockOnce Machine "`the newest commit of … is not known`"
        "run `{command}` once while that server answers. A build with a complete flake.lock asks for no newest commit. --override-input takes an input from a directory";
    InputRefused Machine "an input of a flake that its server refuses"
        "check the address, and that it needs no password. For an input that your own git can read (try `git ls-remote URL`) give --git-inputs NAME, for an archive that needs a login --netrc-file FILE, for anything else --override-input INPUT DIR";
    NoNix Machine "`the builder's container image has no Nix`"
        "--builder-image needs an image that contains Nix, for instance nixos/nix";
    NotNixpkgs Machine "`… is not a nixpkgs`"
        "--nixpkgs takes the archive of a nixpkgs tree";
}

#[cfg(test)]
impl Section {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Syntax, "Syntax and form of a file"),
        (Self::Names, "Names that Nix does not find"),
        (Self::Options, "Options and their values"),
        (Self::Packages, "Image, platform and packages"),
        (Self::Files, "Files of the configuration"),
        (Self::Flakes, "Flakes"),
        (Self::Build, "The build of a package"),
        (
            Self::Machine,
            "Machine, network and binary caches during the build",
        ),
    ];
}

/// The part of docs/errors.md that has the table.
#[cfg(test)]
pub(super) fn page() -> String {
    let mut page = String::new();
    for (section, title) in Section::ALL {
        page.extend([
            "\n### ",
            title,
            "\n\n| what you see | what helps |\n| --- | --- |\n",
        ]);
        let rows = Row::ALL.iter().map(|row| row.entry());
        for row in rows.filter(|row| row.section == section) {
            let cure = without_values(row.cure);
            let cure = cure.replace('|', "\\|").replace('<', "\\<");
            page.extend(["| ", row.when, " | ", &cure, " |\n"]);
        }
    }
    page + "\n"
}

/// `cure` with `…` in place of each `{value}`.
#[cfg(test)]
fn without_values(cure: &str) -> String {
    let mut parts = cure.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let value = part.split_once('}').filter(|(name, _)| {
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
            is_name && !text.ends_with('$')
        });
        match value {
            Some((_, rest)) => text.extend(["…", rest]),
            None => text.extend(["{", part]),
        }
    }
    text
}
