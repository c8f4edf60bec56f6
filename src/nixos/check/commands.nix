# The commands of a configuration that may start a service or make a file, and which of its definitions are the user's.
{ config, options }:
let
  inherit (builtins) any attrNames concatMap elemAt filter isAttrs isString;
in
rec {
  list = set: if isAttrs set then builtins.attrValues set else set;
  # Long texts are too much for a regular expression.
  contains = part: text: builtins.replaceStrings [ part ] [ "" ] text != text;
  isEnabled = object: object.enable or true;

  # A user's own files may have the same directories, so what is in front of them counts.
  services = (options.systemd or { }).services or { };
  modulesOf = builtins.match "(.*/nixos/modules/).*" (builtins.unsafeDiscardStringContext (toString ((services.declarations or [ ]) ++ [ "" ])));
  nixpkgsModules = if modulesOf == null then null else lastWord (builtins.head modulesOf);
  lastWord = text: (words: elemAt words (builtins.length words - 1)) (filter isString (builtins.split " " text));
  isOfNixpkgs = file: nixpkgsModules != null && builtins.substring 0 (builtins.stringLength nixpkgsModules) (toString file) == nixpkgsModules;
  # The definitions of an option that are in files of which `isMeant` is true; a nixpkgs without such definitions does not say where they are.
  definitionsIn = isMeant: option: concatMap (n: if isMeant (elemAt option.files n) then [ (elemAt option.definitions n) ] else [ ]) (builtins.genList (n: n) (builtins.length (option.files or [ ])));
  namesIn = isMeant: option: concatMap (set: if isAttrs set then attrNames set else [ ]) (definitionsIn isMeant option);
  # Whether the user sets the option to more than nothing.
  isSetByUser = option: any (value: !builtins.elem value [ null "" [ ] { } ]) (definitionsIn (file: !isOfNixpkgs file) option);

  ofService =
    service:
    let
      own = map (name: service.${name} or "") [ "script" "preStart" "postStart" "preStop" "postStop" "reload" ];
      exec = map (name: (service.serviceConfig or { }).${name} or "") [ "ExecCondition" "ExecStartPre" "ExecStart" "ExecStartPost" "ExecReload" "ExecStop" "ExecStopPost" ];
    in
    map toString (own ++ exec);
  ofActivation = script: [ (if isString script then script else toString (script.text or "")) ];
  # Commands that are not those of a service.
  ofOptions = map toString [
    (config.boot.postBootCommands or "")
    (config.networking.localCommands or "")
    ((config.networking.dhcpcd or { }).runHook or "")
    ((config.services.cron or { }).systemCronJobs or [ ])
    (map (handler: handler.action or "") (list ((config.services.acpid or { }).handlers or { })))
    (map (event: (config.services.acpid or { }).${event} or "") [ "powerEventCommands" "lidEventCommands" "acEventCommands" ])
    (map (event: (config.powerManagement or { }).${event} or "") [ "powerUpCommands" "powerDownCommands" "resumeCommands" ])
    ((config.services.udev or { }).extraRules or "")
  ];
}
