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
    /// The page that says more.
    #[cfg(test)]
    link: &'static str,
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
    ($($row:ident $section:ident $when:literal $cure:literal $($link:literal)?;)*) => {
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
                        #[cfg(test)]
                        link: rows!(@link $($link)?),
                    },)*
                }
            }
        }
    };
    (@link) => { "" };
    (@link $link:literal) => { $link };
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
    SemicolonInString Syntax "the same after a string that ends with `;\"`"
        "the `;` of line {line} is inside the string. Write it after the closing quote: \"…\";";
    SemicolonNear Syntax "the same where no line before it ends a definition"
        "a `;` is missing there or at the end of the line before, or a quote before it is not closed";
    SemicolonInParentheses Syntax "`unexpected ';', expecting ')'`"
        "write the `;` after the `)`, at the end of the whole value";
    SemicolonAtEnd Syntax "`unexpected ';', expecting end of file`"
        "remove the `;`. Nothing may follow the last `}` of a file";
    ClosedTooEarly Syntax "`expecting end of file`"
        "line {line} closes the { … } of the whole file. There is one closing bracket too many, or an opening one is missing before it";
    OpenString Syntax "`syntax error`, after a string without its last quote"
        "the string that begins in line {line} has no closing quote";
    QuoteTwice Syntax "the same, with `\"\"` before or after a text"
        "there is one `\"` too many in line {line}. \"\" is a complete, empty string";
    OpenIndentedString Syntax "the same after `''`"
        "the string that begins with `''` in line {line} is not closed. End it with another `''`";
    OpenComment Syntax "the same after `/*`"
        "the comment that begins in line {line} is not closed. End it with `*/`";
    Wildcard Syntax "`syntax error`, at a path with `*`"
        "Nix has no wildcards (`*`). Name each file of line {line}, as in [ ./a.nix ./b.nix ]";
    NotClosed Syntax "`syntax error`, after a bracket that is not closed"
        "the `{bracket}` of line {line} is not closed";
    NotOpened Syntax "`syntax error`, at a bracket that closes nothing"
        "nothing is open at the `{bracket}` of line {line}. Remove it, or add the opening bracket that is missing before it";
    NotClosedSomewhere Syntax "`unexpected end of file`"
        "a bracket or a quote is not closed";
    EqualsTwice Syntax "`unexpected '=='`"
        "write `=` instead of `==`, which compares two values";
    Colon Syntax "`unexpected ':', expecting '.' or '='`"
        "write `=` instead of `:`";
    NoEquals Syntax "`unexpected '\"', expecting '.' or '='`"
        "a `=` is missing before the value in line {line}";
    NoValueThere Syntax "`syntax error`, after a `=` without a value"
        "a value is missing after the `=` of line {line}";
    Comma Syntax "`unexpected ','`"
        "remove the comma. The elements of a list are separated by spaces, and definitions end with `;`";
    OtherQuotes Syntax "`unexpected invalid token`, at another quote"
        "a string needs straight double quotes: \"…\"";
    ShellVariable Syntax "`syntax error`, at `$`"
        "put the text in quotes. In a string, `${` begins an expression of Nix: write `\\${` in \"…\", and `''${` in ''…''";
    InvisibleCharacter Syntax "`unexpected invalid token`, at a character that is not visible"
        "line {line} has an invisible character, which was copied with the text. Write the line again by hand";
    TextWithoutQuotesThere Syntax "`syntax error`, in a text without quotes"
        "a string such as a key needs double quotes: \"…\"";
    LetWithoutIn Syntax "`syntax error`, after `let`"
        "the definitions of a `let` end with `in`: let … in { … }";
    IfWithoutElse Syntax "`syntax error`, after `if`"
        "Nix has no `if` without `then` and `else`: if … then … else …";
    HeaderWithoutColon Syntax "`expecting ':'`"
        "end the { … } of the module's arguments with a colon, as in { config, pkgs, ... }:";
    TrailingSlash Syntax "`path has a trailing slash`"
        "remove the slash at the end of the path in line {line}";
    EmptyFile Syntax "`syntax error`, in a file without code"
        "the file is empty. Write `{ }` into it, or remove it from the imports; `sdbuild init` in an empty directory writes a whole configuration";
    Json Syntax "`syntax error`, in a file of JSON"
        "the file is JSON, but a module is Nix: write { networking.hostName = \"pi\"; } instead of { \"networking\": { \"hostName\": \"pi\" } }. For data, write builtins.fromJSON (builtins.readFile FILE)";
    ByteOrderMark Syntax "`syntax error` at the begin of a file with a byte order mark"
        "the file begins with a byte order mark, which Nix does not read. Save it as UTF-8 without one";
    Utf16 Syntax "`syntax error` in a file that is not UTF-8"
        "the file is in UTF-16, which Nix does not read. Save it as UTF-8";
    NotUtf8 Syntax "`JSON serialization error … invalid UTF-8 byte`"
        "save the file as UTF-8";
    OtherSyntax Syntax "any other `syntax error`"
        "Nix expects something else there. Look there and before it for what is missing or too much";
    DefinedTwice Syntax "`attribute '…' already defined at …`"
        "remove the definition in line {first} or the one in line {second}. Of two lists, make one";
    NotAModule Syntax "`Module … is neither a path, a function nor an attribute set`"
        "a module is a set: { pkgs, ... }: { … }";
    BesideConfig Syntax "`Module … has an unsupported attribute …`"
        "beside `options` or `config`, all definitions are in config: config = { {attribute} = …; };";
    NotAFunction Syntax "`attempt to call something which is not a function`"
        "what is before the argument is not a function. Put several values into a list, [ a b ], and join two lists with ++";
    CallInList Syntax "`is not of type …`, of a function in a list"
        "a call inside a list needs parentheses: [ (callPackage ./x.nix { }) ]";

    // Names that Nix does not find.
    ModuleArgument Names "`undefined variable`, of `pkgs`, `lib`, `config` or `modulesPath`"
        "add {arguments} to the { … }: of line {line}, which then reads {header}";
    NoHeader Names "the same in a file that is only `{ … }`"
        "begin the module with its arguments: {header}";
    InOutputs Names "`undefined variable`, of `pkgs` or `lib` in the outputs of a flake"
        "in the outputs of a flake write {value}";
    LibraryFunction Names "`undefined variable`, or `attribute … missing`, of a function of `lib`"
        "{name} is a function of lib. Write lib.{name}";
    Package Names "`undefined variable`, of a package"
        "if it is a package, write pkgs.{name}";
    SimilarPackage Names "`undefined variable` or `attribute … missing`, of a package"
        "nixpkgs has no package {name}. Did you mean {similar}? Search for others: https://search.nixos.org/packages?query={name}";
    NoSuchPackage Names "the same where no package has a name like it"
        "nixpkgs has no package {name}. Find its name: https://search.nixos.org/packages?query={name}";
    Kernel Names "`attribute 'linuxPackages_…' missing`, or `linux … was removed`"
        "nixpkgs has no kernel {name}. Its newest one is pkgs.linuxPackages_latest";
    Boolean Names "`undefined variable`, of `yes`, `on`, `True` and their like"
        "write {value} instead of {name}";
    TextWithoutQuotes Names "`undefined variable`, of a value without quotes"
        "if {name} is a text, put it in double quotes";
    PackageOrText Names "the same in a list"
        "if it is a package, write pkgs.{name}. A text needs double quotes";
    InnerQuotes Names "`undefined variable`, behind a quote in a text"
        "write \\\" for a quote in a text";
    SimilarAttribute Names "`attribute … missing`"
        "did you mean {names}?";
    CheckPackage Names "`attribute … missing`, where nothing has a name like it"
        "check the name: https://search.nixos.org/packages";
    CheckValue Names "the same of `config`"
        "check the name: https://search.nixos.org/options";
    CheckName Names "any other `undefined variable`"
        "check its spelling. A text needs double quotes";
    SimilarArgument Names "`attribute … missing`, of a misspelt argument of a module"
        "{module} asks for the argument {argument}. Did you mean {similar}?";
    SpecialArgs Names "`attribute … missing`, of an argument of a module in a flake"
        "{module} asks for the argument {argument}. In flake.nix, write specialArgs = { {pass} }; next to modules = …";
    NameInputs Names "the same of `inputs`, which the outputs do not name"
        "begin the outputs in line {line} with {header}";
    NoSpecialArgs Names "the same without a flake"
        "{module} asks for the argument {argument}, which only a flake passes (specialArgs). Import what it is for by its path, or with builtins.fetchTarball";
    NoEllipsis Names "`called with unexpected argument`, of a module"
        "modules get more arguments than the file names: write {header} in line {line}";
    OutputsArguments Names "`function 'outputs' called with unexpected argument`"
        "the outputs of a flake get self and every input. Write {header} in line {line}";
    OtherArgument Names "`called with unexpected argument`, of another function"
        "the function does not take {argument}. Remove it, or check its spelling";

    // Options and their values.
    SimilarOption Options "`The option … does not exist`"
        "did you mean {names}? All options: https://search.nixos.org/options";
    CheckOption Options "the same where no option has a name like it"
        "check its spelling: https://search.nixos.org/options";
    ForeignModule Options "the same, of an option of Home Manager, nixos-hardware, agenix, sops-nix or disko"
        "the module of {name} has this option, but is not part of nixpkgs: add {module} to the {where}";
    WriteBoolean Options "`is not of type 'boolean'`"
        "write true or false, in lower case and without quotes";
    WriteString Options "`is not of type 'string'`"
        "write a text in double quotes";
    WriteNumber Options "`is not of type '… integer …'`"
        "write a number, without quotes";
    WriteList Options "`is not of type 'list of …'`"
        "write a list: [ … ], with spaces between the elements";
    WriteSet Options "`is not of type 'attribute set …'` or `'submodule'`"
        "write a set: { … }";
    WritePackage Options "`is not of type 'package'`"
        "write pkgs.NAME, without quotes";
    WriteValue Options "the same where the value is known"
        "write {option} = {value};";
    HostName Options "`networking.hostName` … `is not of type …`"
        "a host name has at most 63 letters from a to z, digits and `-`. Put a domain into networking.domain";
    PrivateKey Options "`is not of type …`, of a private key"
        "that is a private key, but a login needs the public one. Give the content of its .pub file";
    AcceptedValues Options "`is not of type …`, of another type"
        "accepted values: https://search.nixos.org/options?query={option}";
    OptionsBelow Options "`trying to define a value of type … rather than an attribute set`"
        "{option} is a set of options. Define one of them: https://search.nixos.org/options?query={option}";
    ByImage Options "`conflicting definition values`, one of them of the image"
        "the image sets {option} itself, so remove it from the configuration";
    ByImageHardware Options "the same in a `hardware-configuration.nix`"
        "the image sets {option} itself, so remove it from hardware-configuration.nix. If that file is from another machine, do not import it";
    TwoDefinitions Options "`conflicting definition values`, both of your own"
        "remove the definition in {first} or the one in {second}";
    OtherDefinition Options "`conflicting definition values`, one of another module"
        "another module sets {option} too. Remove your definition in {own}, or write lib.mkForce before its value to override the other one";
    KeepOne Options "other `conflicting definition values`"
        "keep one of the definitions";
    NoValue Options "`was accessed but has no value defined`"
        "write {option} = …; with your own value: https://search.nixos.org/options?query={option}";
    OptionGone Options "`no longer has any effect`"
        "remove the option. The message of nixpkgs says what replaces it";
    OwnValue Options "`infinite recursion encountered`, of an option that reads its own value"
        "{option} is defined by its own value. Write a value instead of {source}, or only what you add: NixOS joins the definitions of all modules";
    ImportsNeedPkgs Options "the same where `imports` use `pkgs`"
        "the imports in {module} use pkgs, which exists only once all imports are known. Name the file by modulesPath, <nixpkgs/…> or builtins.fetchTarball instead";
    ImportsNeedConfig Options "the same where `imports` depend on `config`"
        "the imports in {module} depend on config, which exists only once all imports are known. Import it always, and use lib.mkIf inside it";
    OtherRecursion Options "other `infinite recursion encountered`"
        "an option is defined by its own value. Look for a definition that reads config.… of the same option. lib.mkForce, lib.mkBefore and lib.mkAfter change a value without reading it";
    ListNeeded Options "`expected a list but found …`"
        "put the value into a list, in brackets: [ … ]";
    SetNeeded Options "`expected a set but found …`"
        "write a set, { … }, where another value is: nixosSystem takes { modules = [ … ]; }, and specialArgs { inherit NAME; }";
    PathInQuotes Options "`doesn't represent an absolute path`, or a text in place of a path"
        "write a path without quotes: {path}";
    JoinLists Options "`cannot coerce a list to a string`"
        "join lists with `++`, and texts with `+`. A list in a text needs lib.concatStringsSep \" \" LIST";
    NotAText Options "`cannot coerce … to a string`"
        "only texts, paths and packages can be part of a text. Write toString VALUE for a number";

    // Image, platform and packages.
    ImportImage Packages "`attribute 'sdImage' … not found`, or `The option 'sdImage' does not exist`"
        "add {module} to the imports of {file}, and modulesPath to its { … }:" "formats.md";
    NoVariant Packages "`the configuration has no image variant …`"
        "take one of those, or a format of `sdbuild formats`" "formats.md";
    SimilarVariant Packages "the same with a similar name"
        "did you mean --format nixpkgs:{name}?";
    NoVariants Packages "`has no image variants`"
        "use nixpkgs 25.05 or newer, which has them, or the format sd-card";
    NeedsKvm Packages "`is made in a virtual machine with KVM`"
        "`sdbuild formats` lists what is made without one";
    SameWithoutKvm Packages "the same where another format does the same"
        "--format {name} does the same without one";
    Unfree Packages "`has an unfree license`"
        "allow it in the configuration: nixpkgs.config.allowUnfreePredicate = pkg: builtins.elem (lib.getName pkg) [ \"{name}\" ];";
    Insecure Packages "`is marked as insecure`"
        "look for a newer version of it. To use this one anyway, write nixpkgs.config.permittedInsecurePackages = [ \"{name}\" ];";
    NotForPlatform Packages "`is not available on the requested hostPlatform`"
        "nixpkgs does not build {name} for this platform. Remove it, or look for another package: https://search.nixos.org/packages";
    Renamed Packages "`has been renamed to`"
        "write {name} instead";
    Removed Packages "`has been removed`, of a package"
        "remove {name}, or take another package: https://search.nixos.org/packages";
    Replaced Packages "the same with a successor"
        "write {instead} instead of {name}";
    WrongPlatform Packages "`is required to build`, or `required system or feature`"
        "neither this builder nor one of --builders has the platform or the feature that the configuration requires. Set nixpkgs.hostPlatform, or name the feature in the sixth field of a builder that has it";

    // Files of the configuration.
    MissingFile Files "`path '…' does not exist`, or `opening file '…': No such file`"
        "sdbuild uploads only the configuration's directory, without *.img files and what .gitignore and .sdbuildignore list. Put the file there, or give --root DIR to upload a directory above it";
    NotInNixpkgs Files "the same of a file of nixpkgs"
        "this nixpkgs has no file {path}. Its module for SD card images is (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\")";
    NoSearchPath Files "`was not found in the Nix search path`"
        "only <nixpkgs> exists here. Name a file by its path, or fetch it: {module}";
    UrlNotFound Files "`HTTP error 404`, of a download while the configuration is evaluated"
        "check the address, and that it needs no password. For an archive that needs a login, give --netrc-file FILE";
    GitReference Files "`revspec … not found`"
        "the repository has no branch or tag {name}. Write one that `git branch --all` or `git tag` lists there";

    // Flakes.
    Untracked Flakes "`path '…' does not exist`, of a file of a flake"
        "a flake contains only files that git tracks: git add {path}";
    LockIncomplete Flakes "`requires lock file changes`"
        "`{command}` completes flake.lock. A build never changes it" "flakes.md";
    LockElsewhere Flakes "the same of a flake elsewhere"
        "clone the repository, and complete its flake.lock there: sdbuild lock";
    IndirectInput Flakes "`is an indirect flake reference`"
        "give the input a URL in flake.nix, such as {url}, and run `{command}`. A build reads no registry";
    LocalInput Flakes "`path '/…' does not exist`, of an input"
        "the builder has only the flake's own files of this machine. Use a relative path inside it, or give --override-input INPUT DIR, which uploads DIR";
    NoOutputs Flakes "`lacks attribute 'outputs'`"
        "write in flake.nix: outputs = { self, nixpkgs, ... }: { nixosConfigurations.pi = nixpkgs.lib.nixosSystem { modules = [ ./configuration.nix ]; }; };";
    NotAFlake Flakes "the same of an input"
        "if that is not a flake, give the input `flake = false;`";
    SimilarOutput Flakes "`has no configuration …`, or `has no …`"
        "did you mean {name}?";
    DefineConfiguration Flakes "`has no nixosConfigurations`"
        "define one in the outputs: nixosConfigurations.NAME = nixpkgs.lib.nixosSystem { modules = [ ./configuration.nix ]; };";
    NameOne Flakes "`has several configurations. Name one of them`"
        "for instance: {command}";
    NotAConfiguration Flakes "`is neither a NixOS configuration nor a derivation`"
        "make a configuration with nixpkgs.lib.nixosSystem { modules = [ … ]; }";
    FlakeForm Flakes "`expected … but got …`, in flake.nix"
        "write {wanted} there: a flake.nix is a plain set, of which only outputs is a function, and the URL of an input is a text in quotes without ${…}";
    FlakeAttribute Flakes "`has an unsupported attribute`, of a flake"
        "a flake.nix has only the attributes description, inputs, outputs and nixConfig. Options belong to a module";
    SimilarFlakeAttribute Flakes "the same with a similar name"
        "rename {name} to {similar}";
    InputAttribute Flakes "`unexpected flake input attribute`"
        "give the input its address as a URL: url = \"github:OWNER/REPOSITORY/BRANCH\";";
    SimilarInputAttribute Flakes "the same with a similar name"
        "write {similar} instead of {name}";
    InputUrl Flakes "`input '…' is unsupported`"
        "the URL of an input begins with github:, gitlab:, git+https:, git+ssh: or https:, as in github:OWNER/REPOSITORY/BRANCH";
    NixosSystem Flakes "`attribute 'nixosSystem' missing`"
        "write nixpkgs.lib.nixosSystem: it is in the lib of the flake nixpkgs";
    NoModules Flakes "`called without required argument 'modules'`"
        "nixosSystem takes a set with modules = [ ./configuration.nix ];";
    NixosSystemArgument Flakes "`called with unexpected argument`, of nixosSystem"
        "rename the argument {argument} of nixosSystem to {similar}";
    ArgumentOfOutputs Flakes "`undefined variable`, of an input of the flake"
        "if {name} is an input, add it to the { … }: of the outputs";
    ConfigurationByItself Flakes "`infinite recursion encountered`, of `x = self.x`"
        "a configuration is defined by itself. Write nixosConfigurations.NAME = nixpkgs.lib.nixosSystem { … };";
    ImpureAbove Flakes "`access to absolute path '…' is forbidden`, of a file above the flake"
        "../{path} is above the flake's directory, and Nix reads only files in it that git tracks. Move the file there, and git add it";
    ImpurePath Flakes "the same of another file"
        "{path} is outside the flake. Copy what is read next to flake.nix, git add it, and write ./{name}. If it is a file on the machine that the image is for, write its path in quotes. Do not copy a secret, because everybody who has the card could read it";
    ImpureNixpkgs Flakes "`cannot look up '<nixpkgs…>' in pure evaluation mode`"
        "a flake has no <nixpkgs>. Write \"${nixpkgs}/{path}\" with the input nixpkgs, or (modulesPath + \"/…\") for a module of it";
    ImpureSearchPath Flakes "the same of another `<…>`"
        "a flake has no <{channel}>. Declare {channel} as an input: inputs.{channel}.url = \"{url}\"; then run {command}, and use it in the outputs";
    ImpureSystem Flakes "`attribute 'currentSystem' missing`"
        "a flake does not know the system of the computer that evaluates it. Write \"aarch64-linux\" instead of builtins.currentSystem, and import nixpkgs { system = \"aarch64-linux\"; }";
    ImpureDownload Flakes "`requires a 'sha256' argument`"
        "in a flake, {function} needs a hash. Write builtins.{function} { url = …; sha256 = \"\"; }, run it again, and copy the hash from the message";
    Impure Flakes "other errors of pure evaluation"
        "a flake cannot use the environment, <nixpkgs>, builtins.currentSystem or files outside it. Make what it needs an input, or a file that git tracks";

    // The build of a derivation.
    WrongHash Build "`hash mismatch`"
        "if you trust what the server sends now, write {got} instead of {specified}";
    UnknownHash Build "the same where the message has no hashes"
        "the server's file has changed, or the configuration's hash is wrong";
    UrlOfBuild Build "`the server answers 404 for …`, of a `fetchurl` of your own"
        "check the address, and that it needs no login";
    RootTooSmall Build "`Could not allocate block in ext2 filesystem`"
        "nixpkgs made the root file system too small for its content, which happens with very many small files. Leave some out (documentation.enable = false), or set sdImage.rootFilesystemCreator to a tool that reserves more space";
    FirmwareTooSmall Build "`Disk full`, of the firmware partition"
        "make the firmware partition larger: sdImage.firmwareSize = 60; (MiB)";
    EmulatorCrash Build "`uncaught target signal`"
        "an emulated program crashed, which may be the emulator's fault. A build on a native engine (DOCKER_HOST) shows whether it is" "using-engines.md#an-aarch64-machine-as-engine";
    NoEmulation Build "`Exec format error`, without emulation"
        "the build ran a program of another architecture, but this engine emulates none";
    NeedsBuild Build "`it imports a derivation that must be built first`"
        "`sdbuild build` builds it, under emulation where necessary";
    NoNativeGlue Build "`--glue native is not possible`"
        "--glue auto then builds under emulation, --glue emulated does so from the start";

    // This machine, the network and the binary caches.
    DiskFull Machine "`no space left, or no inode, on the store volume …`"
        "free some space where the engine keeps its volumes (docker system df; df -h; df -i)";
    CleanStore Machine "the same"
        "`sdbuild clean` removes the store volume with all results of earlier builds";
    ProcessLimit Machine "`… could not start another process`"
        "raise the limit of processes of the engine (pids limit) or of its machine, or build fewer things at once: --jobs 1 --cores 2";
    OutOfMemory Machine "`… ran out of memory`"
        "build fewer things at once (--jobs 1 --cores 2), or give the engine's machine more memory, and raise memory-mib in sdbuild.toml if it is set";
    NoHandler Machine "`… programs stopped running: their binfmt_misc entry vanished`"
        "something changed this host's binfmt_misc (a restart of systemd-binfmt does), or sdbuild's registrar, the container that holds the entry, was stopped (a warning above says so). Run it again";
    PrivateHandler Machine "`QEMU could not be registered inside the builder`"
        "check what changed on the engine's machine: user.max_user_namespaces, AppArmor, SELinux";
    Watchdog Machine "`the builder lost the connection to sdbuild`"
        "sdbuild or the connection to the engine was interrupted for that long. Run it again: finished builds are kept";
    Stopped Machine "`the builder was stopped from outside`"
        "the container was stopped or the engine was restarted. Run it again";
    BuilderLost Machine "`a remote builder was lost`, or `can no longer be used`"
        "run it again when the builder answers, which `sdbuild doctor` tests. What it had finished is kept";
    WithoutBuilder Machine "the same"
        "or leave it out of --builders to build and emulate the rest here";
    Clock Machine "`the certificate of a server is not valid`"
        "check that the clock of the engine's machine is right: date -u";
    Authority Machine "the same with a right clock"
        "if your own authority signs the certificate, or a proxy that reads TLS, give --ca-file FILE";
    RunAgain Machine "`a server that the builder needs does not answer`"
        "run it again. What is already fetched is kept";
    CheckNetwork Machine "`the builder cannot reach a server that it needs`"
        "check the network and the engine's DNS";
    CheckAddress Machine "the same of an address in the configuration"
        "check the address, the network, and the DNS of the engine's machine";
    NoNetwork Machine "the same without a network"
        "without a network, copy the files into the configuration's directory and name them by their path";
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
        "run `{command}` once while that server answers. A build with a complete flake.lock asks for no newest commit. --override-input takes the input from a directory";
    LockNeedsServers Machine "the same, of `sdbuild lock`"
        "a lock needs the server of every new input once. Builds with it do not";
    CloneOnce Machine "the same of the flake itself"
        "or clone it while there is a network, and give the directory instead of the address";
    OverrideCommit Machine "the same, of an input of --override-input"
        "--override-input {input} asks for the newest commit. Write a commit at the end of its reference, or give a directory";
    InputRefused Machine "an input of a flake that its server refuses"
        "check the address, and that it needs no password. For an input that your own git can read (try `git ls-remote URL`) give --git-inputs NAME, for an archive that needs a login --netrc-file FILE, for anything else --override-input INPUT DIR";
    NoNix Machine "`the builder's container image has no nix-build`"
        "--builder-image needs an image that contains Nix, for instance nixos/nix";
    NotNixpkgs Machine "`… is not a nixpkgs`"
        "--nixpkgs takes the archive of a nixpkgs tree";
    SeeLog Machine "`nix-build ended with exit status …`"
        "see the end of the log";
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
        page += &format!("\n### {title}\n\n| what you see | what helps |\n| --- | --- |\n");
        let rows = Row::ALL.iter().map(|row| row.entry());
        for row in rows.filter(|row| row.section == section) {
            let cure = without_values(row.cure);
            let cure = cure.replace('|', "\\|").replace('<', "\\<");
            let link = match row.link {
                "" => String::new(),
                link => format!(" ([more]({link}))"),
            };
            page += &format!("| {} | {cure}{link} |\n", row.when);
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
            Some((_, rest)) => text += &format!("…{rest}"),
            None => text += &format!("{{{part}"),
        }
    }
    text
}
