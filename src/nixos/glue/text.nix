# Whether a shell command can run on the builder's own architecture with the same result as on the image's.
#
# It cannot when it may detect the machine that it runs on, or copy a program of the builder. This is guessed from its
# text, on the safe side: a command that is suspected without reason runs emulated, which costs time and nothing else.
# A program that the command calls by a computed name is not detected; the user's scripts that the text refers to are
# inspected as well.
{ lib }:
let
  words = [
    # Detecting the machine.
    "uname" "/proc/" "[^[:alnum:]_-]arch[^[:alnum:]_-]" "HOSTTYPE" "MACHTYPE" "lscpu" "platform[.]machine"
    # Variables with the derivation's own programs, which are the builder's.
    "[$][{]?(SHELL|shell|BASH|CONFIG_SHELL|system|stdenv|initialPath|PATH|HOST_PATH)[^[:alnum:]_]"
    "type -[pPa]" "command -v" "which "
    # Writing such names into files, or processing files of one architecture.
    "patchShebangs" "patchelf" "strip " "ldd " "[^[:alnum:]_-](cc|gcc)[^[:alnum:]_-]"
  ];
  pattern = ".*(${lib.concatStringsSep "|" words}).*";
  # Nix's regular expressions recurse for every character.
  longest = 16384;
  # Spaces, because some patterns need a character before and after the word.
  suspectLine = line: builtins.stringLength line > longest || builtins.match pattern " ${line} " != null;
  # Not lib.splitString, which recurses for every character in old releases.
  linesOf = text: lib.filter builtins.isString (builtins.split "\n" (withoutContext text));
  suspect = text: lib.any suspectLine (linesOf text);

  # Source files in the store that a text refers to, not outputs of derivations.
  files = text: builtins.attrNames (lib.filterAttrs (_: how: how.path or false) (builtins.getContext text));
  # Scripts by their usual extensions; other files are not inspected.
  isScript = file: builtins.match ".*[.](sh|bash|py|pl|rb|awk)" file != null && !builtins.pathExists "${file}/.";
  suspectFile = file: isScript file && suspect (builtins.readFile file);

  withoutContext = builtins.unsafeDiscardStringContext;
  contains = word: text: builtins.replaceStrings [ (withoutContext word) ] [ "" ] (withoutContext text) != withoutContext text;
  textOf = value: if builtins.isString value then value else if builtins.isPath value then "${value}" else "";
  suspectText = text: suspect text || lib.any suspectFile (files text);
in
{
  # A text without its string context.
  inherit withoutContext;

  # `command`: the text that a shell runs. `environment`: the derivation's variables.
  dependsOnMachine =
    command: environment:
    suspectText (toString command) || lib.any (value: lib.any suspectFile (files (textOf value))) (lib.attrValues environment);

  # Whether a text contains a word. Not lib.hasInfix, whose pattern recurses for every character.
  inherit contains;

  # Whether a command, or a script that it refers to, contains a word.
  mayRead = word: command: contains word command || lib.any (file: isScript file && contains word (builtins.readFile file)) (files command);
}
