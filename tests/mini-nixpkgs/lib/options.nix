# Declaring options, and the words in which their errors are told (nixpkgs' own, so that tools may rely on them).
lib:
let
  quoteName = name: if builtins.match "[a-zA-Z_][a-zA-Z0-9_'-]*|<.*>|[*]" name != null then name else builtins.toJSON name;
  shorten = s: if builtins.stringLength s > 300 then builtins.substring 0 300 s + "…" else s;

  members =
    depth: v:
    if builtins.isList v then
      "[ ${lib.concatMapStrings (x: showAt (depth - 1) x + " ") v}]"
    else
      "{ ${lib.concatStrings (lib.mapAttrsToList (n: x: "${quoteName n} = ${showAt (depth - 1) x}; ") v)}}";
  showAt =
    depth: v:
    if builtins.isString v || builtins.isBool v || builtins.isInt v || v == null then
      builtins.toJSON v
    else if builtins.isFunction v then
      "<function>"
    else if lib.isDerivation v then
      "<derivation ${v.name or "?"}>"
    else if builtins.isList v || builtins.isAttrs v then
      if depth == 0 then "…" else members depth v
    else
      toString v;

  # A value that cannot be evaluated must not hide the message that it belongs to.
  showValue =
    v:
    let
      text = builtins.tryEval (builtins.unsafeDiscardStringContext (showAt 3 v));
    in
    if text.success then shorten text.value else "<value that cannot be evaluated>";
  hint = "\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";
in
{
  isOption = v: builtins.isAttrs v && v._type or "" == "option";
  mkOption = attrs: attrs // { _type = "option"; };
  mkEnableOption =
    name: lib.mkOption { type = lib.types.bool; default = false; example = true; description = "Whether to enable ${name}."; };
  mkPackageOption =
    pkgs: name: { default ? name, ... }:
    lib.mkOption { type = lib.types.package; default = lib.attrByPath (lib.toList default) null pkgs; description = "The ${lib.last (lib.toList name)} package to use."; };
  literalExpression = text: { _type = "literalExpression"; inherit text; };
  literalMD = text: { _type = "literalMD"; inherit text; };
  mdDoc = text: text;

  showOption = lib.concatMapStringsSep "." quoteName;
  showFiles = lib.concatMapStringsSep " and " (file: "`${file}'");
  showDefs = lib.concatMapStrings (def: "\n- In `${def.file}': ${showValue def.value}");

  mergeOneOption =
    loc: defs:
    if builtins.length defs == 1 then
      (builtins.head defs).value
    else
      throw "The option `${lib.showOption loc}' is defined multiple times while it's expected to be unique.\nDefinition values:${lib.showDefs defs}${hint}";
  mergeEqualOption =
    loc: defs:
    let
      first = (builtins.head defs).value;
    in
    if builtins.length defs == 1 || builtins.all (def: def.value == first) defs then
      first
    else
      throw "The option `${lib.showOption loc}' has conflicting definition values:${lib.showDefs defs}${hint}";
}
