# Whether a shell command may run on the builder's own architecture and still give what it gives on the image's.
#
# It may not when it could see which machine it runs on, or take a program of the builder's along. That is judged by
# its text, so it is a guess; but only to the safe side: a command that is suspected without reason runs emulated,
# which costs time and nothing else. What slips through is a program that the command calls by a name we do not see;
# scripts of the user's own that the text refers to are read as well.
{ lib }:
let
  words = [
    # Which machine is this?
    "uname" "/proc/" "[^[:alnum:]_-]arch[^[:alnum:]_-]" "HOSTTYPE" "MACHTYPE" "lscpu" "platform[.]machine"
    # Names of the derivation's own programs: these are the builder's.
    "[$][{]?(SHELL|shell|BASH|CONFIG_SHELL|system|stdenv|initialPath|PATH|HOST_PATH)[^[:alnum:]_]"
    "type -[pPa]" "command -v" "which "
    # Writes such names into files, or is meant for the files of one machine.
    "patchShebangs" "patchelf" "strip " "ldd " "[^[:alnum:]_-](cc|gcc)[^[:alnum:]_-]"
  ];
  pattern = ".*(${lib.concatStringsSep "|" words}).*";
  # Nix's expressions recurse for every character.
  longest = 16384;
  # A word at either end of the line has a neighbour too.
  suspectLine = line: builtins.stringLength line > longest || builtins.match pattern " ${line} " != null;
  # Not by lib.splitString, which calls itself for every character in old releases.
  linesOf = text: lib.filter builtins.isString (builtins.split "\n" (bare text));
  suspect = text: lib.any suspectLine (linesOf text);

  # Files that a text refers to: those that are in the store as they are, which no derivation made.
  files = text: builtins.attrNames (lib.filterAttrs (_: how: how.path or false) (builtins.getContext text));
  # Others are not looked into: whoever runs them names an interpreter, and these are the usual names of its input.
  isScript = file: builtins.match ".*[.](sh|bash|py|pl|rb|awk)" file != null && !builtins.pathExists "${file}/.";
  suspectFile = file: isScript file && suspect (builtins.readFile file);

  bare = builtins.unsafeDiscardStringContext;
  says = word: text: builtins.replaceStrings [ (bare word) ] [ "" ] (bare text) != bare text;
  textOf = value: if builtins.isString value then value else if builtins.isPath value then "${value}" else "";
  suspectText = text: suspect text || lib.any suspectFile (files text);
in
{
  # A text, whatever it depends on.
  inherit bare;

  # `command`: the text that a shell will run. `environment`: what the derivation gives it.
  dependsOnMachine =
    command: environment:
    suspectText (toString command) || lib.any (value: lib.any suspectFile (files (textOf value))) (lib.attrValues environment);

  # Whether a word is in a text. Not by lib.hasInfix, whose pattern recurses for every character.
  inherit says;

  # Whether one is, or in a script that the text refers to.
  mayRead = word: command: says word command || lib.any (file: isScript file && says word (builtins.readFile file)) (files command);
}
