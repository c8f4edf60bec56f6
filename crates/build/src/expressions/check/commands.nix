# Which definitions of a configuration are the user's, which files are in the store, and the commands of a service.
{ options, pkgs }:
let
  inherit (builtins) any attrNames concatMap elem elemAt filter genList isAttrs length stringLength substring;
in
rec {
  list = set: if isAttrs set then builtins.attrValues set else set;
  # Long texts are too much for a regular expression.
  contains = part: text: builtins.replaceStrings [ part ] [ "" ] text != text;
  # The list, or nothing: what cannot be evaluated is reported by the evaluation of the whole.
  safely = value: (r: if r.success then r.value else [ ]) (builtins.tryEval (builtins.deepSeq value value));

  # A user's own files may have directories of the same names, so what is in front of them counts.
  modules = "${toString (pkgs.path or "/")}/nixos/modules/";
  isOfNixpkgs = file: substring 0 (stringLength modules) (toString file) == modules;
  # The definitions of an option in files outside nixpkgs; a nixpkgs without such definitions does not say where they are.
  ofUser = option: concatMap (n: if isOfNixpkgs (elemAt option.files n) then [ ] else [ (elemAt option.definitions n) ]) (genList (n: n) (length (option.files or [ ])));
  # Whether the user sets the option to more than nothing.
  isSetByUser = option: any (value: !elem value [ null "" [ ] { } ]) (ofUser option);
  # The names of the services, of which `option` is the option and `all` are the names, that files outside nixpkgs define.
  namesOfUser =
    option: all:
    let
      sets = filter isAttrs (ofUser option);
      names = if option ? files then concatMap attrNames sets else all;
    in
    attrNames (builtins.listToAttrs (map (name: { inherit name; value = null; }) names));
  # Whether the image gets a file, or has it, in its store: a path without quotes is copied, as in a string with it; a package has an `outPath`.
  isInStore =
    file:
    builtins.isPath file
    || isAttrs file && file ? outPath
    || builtins.isString file && builtins.hasContext file && substring 0 (stringLength builtins.storeDir) file == builtins.storeDir;
  ofService =
    service:
    let
      own = map (name: service.${name} or "") [ "script" "preStart" "postStart" "preStop" "postStop" "reload" ];
      exec = map (name: (service.serviceConfig or { }).${name} or "") [ "ExecCondition" "ExecStartPre" "ExecStart" "ExecStartPost" "ExecReload" "ExecStop" "ExecStopPost" ];
    in
    map toString (own ++ exec);
}
