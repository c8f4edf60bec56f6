# What the text of a shell command shows about its result on the builder's own architecture.
#
# machine.nix answers most questions about the machine as the image's machine would. Left are those that the shell which
# runs the command answers itself, and those that programs answer without a question: guessed from the text, on the safe
# side. A command that is suspected without reason runs emulated, which costs time and nothing else.
{ lib }:
let
  withoutContext = builtins.unsafeDiscardStringContext;
  contains = word: text: builtins.replaceStrings [ (withoutContext word) ] [ "" ] (withoutContext text) != withoutContext text;
  # Not lib.splitString, which recurses for every character in old releases.
  lines = text: lib.filter builtins.isString (builtins.split "\n" (withoutContext text));

  # Whether a pattern matches anywhere. `split` recurses for every character of a match, `match` for every character.
  finds = pattern: text: lib.length (builtins.split pattern text) > 1;
  anyOf = patterns: "(${lib.concatStringsSep "|" patterns})";
  word = text: "[^[:alnum:]_./-]${text}[^[:alnum:]_./-]";

  # What the shell has compiled in, under its names or by computed ones; files of other commands, which are not inspected (`. |` is
  # part of a filter of jq).
  ofTheShell = anyOf [
    "BASH_VERSINFO" (word "help") (word "eval") "compgen"
    # ''${!name}, but not ''${!name[@]}, which are the keys of an array.
    "[$][{]!([^[:alnum:]_]|[[:alnum:]_]+([^][:alnum:]_[]|\\[[^@*]))"
    # References to variables by name, and lists of all variables.
    "(declare|typeset|local|export|readonly) +-[[:alpha:]]*[np]"
    "([\n;&|({`]|then|do|else|!|command|builtin)[[:blank:]]*([.]|source)[[:blank:]]+[^|[:blank:]]"
    # The kernel's files, which QEMU replaces in part; the derivation's variables as Nix has written them.
    "/proc/" "NIX_ATTRS" "[.]attrs[.]"
  ];
  # C's long double, in which bash calculates, has another precision on every architecture.
  fraction = "%[-+ #0-9.*']*[aAeEfFgG]";
  # The store paths of native programs, and programs that write them or process files of one architecture. The guard
  # finds such paths in an image, but only once all is built.
  ofTheBuilder = anyOf [
    "[$][{]?(SHELL|shell|BASH|CONFIG_SHELL|stdenv|builder|initialPath|PATH|HOST_PATH)[^[:alnum:]_]"
    "type -[pPa]" "command -v" "which "
    "patchShebangs" "patchelf" "strip " "ldd " (word "(cc|gcc)")
  ];
  # An entry of NixOS's /etc that links to a file of the kernel, as /etc/mtab does: the function of that name links to its first
  # argument, and lists files only for a pattern.
  isEntry =
    line: lib.hasPrefix "makeEtcEntry /proc/" line && builtins.match "makeEtcEntry [[:alnum:]_/-]+( [[:alnum:]_/+.-]+){4}" line != null;
  isComment = line: builtins.match "[[:blank:]]*#([^!].*)?" (builtins.substring 0 200 line) != null;

  # A command of which nothing depends on the machine: it consists of the programs below, files of the store and of the
  # build directory, and $out.
  simple = "[[:space:]]*((cp|mkdir|ln|mv|rm|rmdir|echo|touch|chmod|cat|test|true)([[:space:]]+[A-Za-z0-9_.:@%+,=\"'>/-]+)*)?[[:space:]]*";
  # A path that is neither in the store nor below the build directory.
  elsewhere = "([[:space:]\"'=:,>]/|[.][.])";
  isSimpleLine = line: builtins.stringLength line < 16384 && builtins.match simple line != null && !(finds elsewhere line);
in
{
  # A text without its string context.
  inherit withoutContext;

  # Whether a value names files that are not the outputs of derivations.
  namesFile =
    value:
    builtins.isPath value || builtins.isString value && lib.any (how: how.path or false) (lib.attrValues (builtins.getContext value));

  # Whether a text contains a word. Not lib.hasInfix, whose pattern recurses for every character.
  inherit contains;

  # Whether a command of NixOS may depend on the machine in a way that machine.nix does not cover.
  isSuspicious =
    text:
    let
      written = lib.filter (line: !isEntry line) (lines text);
      joined = "\n${lib.concatStringsSep "\n" written}\n";
      code = "\n${lib.concatStringsSep "\n" (lib.filter (line: !isComment line) written)}\n";
    in
    finds ofTheShell joined || contains "printf" joined && finds fraction joined || finds ofTheBuilder code;

  # Whether a command certainly gives the same everywhere.
  isSimple =
    text:
    let
      parts = builtins.replaceStrings
        [ "&&" ";" "\${out}" "$out/" "$out " "$out\n" "$out\"" "${builtins.storeDir}/" ]
        [ "\n" "\n" "out" "out/" "out " "out\n" "out\"" "store/" ]
        "${withoutContext text}\n";
    in
    lib.all isSimpleLine (lines parts);
}
