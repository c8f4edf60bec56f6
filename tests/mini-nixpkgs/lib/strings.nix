lib:
let
  characters = s: builtins.genList (i: builtins.substring i 1 s) (builtins.stringLength s);
  upper = characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  lower = characters "abcdefghijklmnopqrstuvwxyz";
  trimmed = pattern: s: builtins.head (builtins.match pattern s);
in
{
  inherit (builtins) concatStringsSep match replaceStrings split stringLength substring toString;
  concatStrings = builtins.concatStringsSep "";
  concatMapStrings = f: xs: lib.concatStrings (map f xs);
  concatMapStringsSep =
    separator: f: xs:
    builtins.concatStringsSep separator (map f xs);
  concatMapAttrsStringSep =
    separator: f: set:
    builtins.concatStringsSep separator (lib.mapAttrsToList f set);
  concatLines = lib.concatMapStrings (line: line + "\n");
  optionalString = condition: s: if condition then s else "";
  stringToCharacters = characters;
  hasPrefix = prefix: s: builtins.substring 0 (builtins.stringLength prefix) s == prefix;
  hasSuffix =
    suffix: s:
    let
      start = builtins.stringLength s - builtins.stringLength suffix;
    in
    start >= 0 && builtins.substring start (-1) s == suffix;
  hasInfix = infix: s: builtins.length (builtins.split (lib.escapeRegex infix) s) > 1;
  removePrefix = prefix: s: if lib.hasPrefix prefix s then builtins.substring (builtins.stringLength prefix) (-1) s else s;
  removeSuffix =
    suffix: s: if lib.hasSuffix suffix s then builtins.substring 0 (builtins.stringLength s - builtins.stringLength suffix) s else s;
  splitString = separator: s: builtins.filter builtins.isString (builtins.split (lib.escapeRegex separator) s);
  escape = list: builtins.replaceStrings list (map (c: "\\" + c) list);
  escapeRegex = lib.escape (characters "\\[{()^$?*+|.");
  escapeShellArg = x: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString x)}'";
  escapeShellArgs = lib.concatMapStringsSep " " lib.escapeShellArg;
  toLower = builtins.replaceStrings upper lower;
  toUpper = builtins.replaceStrings lower upper;
  trim = trimmed "[ \t\r\n]*(.*[^ \t\r\n]|)[ \t\r\n]*";
  fileContents = file: lib.removeSuffix "\n" (builtins.readFile file);
  fixedWidthString =
    width: filler: s:
    if builtins.stringLength s >= width then s else lib.fixedWidthString width filler (filler + s);
  toInt = s: let n = builtins.fromJSON s; in if builtins.isInt n then n else throw "toInt: could not convert ${s} to int";
  getName = package: if builtins.isAttrs package then package.pname or (builtins.parseDrvName package.name).name else (builtins.parseDrvName package).name;
  getVersion = package: if builtins.isAttrs package then package.version or (builtins.parseDrvName package.name).version else (builtins.parseDrvName package).version;
  versionOlder = a: b: builtins.compareVersions b a == 1;
  versionAtLeast = a: b: !lib.versionOlder a b;
  isStringLike = x: builtins.isString x || builtins.isPath x || (builtins.isAttrs x && (x ? outPath || x ? __toString));
  isStorePath = x: lib.isStringLike x && builtins.dirOf (toString x) == builtins.storeDir;
}
