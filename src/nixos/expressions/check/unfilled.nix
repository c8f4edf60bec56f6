# The options that still have what stands for a value of the user's own in the lines that sdbuild proposes, or in an example of its
# documentation: each with its path and that text.
{ config, options, commands }:
let
  inherit (builtins) attrNames concatMap filter isList isString split;
  inherit (commands) isEnabled namesOfUser safely;

  wireless = (config.networking or { }).wireless or { };
  networks = if wireless.enable or false then wireless.networks or { } else { };
  exampleKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  ofNetwork =
    name:
    let
      option = [ "networking" "wireless" "networks" name ];
    in
    if name == "…" then
      [ { inherit option; text = "…"; } ]
    else if networks.${name}.pskRaw or null == exampleKey then
      [ { option = option ++ [ "pskRaw" ]; text = "0123456789abcdef…"; } ]
    else
      [ ];
  # Of keys in the documentation nobody has the other half.
  exampleKeys = [ "AAAAC3NzaC1lZDI1NTE5AAAAIJd0lUDjqGXYtKWVxV7oCoYmHHBeFRJxmBkpsiwtYZcZ" "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ" ];
  users = (config.users or { }).users or { };
  isExample = line: isString line && builtins.any (key: commands.contains key line) exampleKeys;
  ofUser = name: if builtins.any isExample (users.${name}.openssh.authorizedKeys.keys or [ ]) then [ { option = [ "users" "users" name "openssh" "authorizedKeys" "keys" ]; text = "ssh-ed25519 AAAA…"; } ] else [ ];
  upgrade = (config.system or { }).autoUpgrade or { };
  flake = "github:me/config#NAME";
  ofUpgrade = if upgrade.enable or false && upgrade.flake or null == flake then [ { option = [ "system" "autoUpgrade" "flake" ]; text = flake; } ] else [ ];
  services = (config.systemd or { }).services or { };
  names = filter (name: services ? ${name} && isEnabled services.${name}) (namesOfUser ((options.systemd or { }).services or { }) (attrNames services));
  # Such a line has nothing but paths of the store besides.
  isInStore = word: builtins.substring 0 (builtins.stringLength builtins.storeDir) word == builtins.storeDir;
  isUnfilled =
    command:
    let
      words = filter (word: isString word && word != "") (split "[ \t\n]+" (builtins.unsafeDiscardStringContext command));
    in
    isString command && builtins.elem "…" words && builtins.all (word: word == "…" || isInStore word) words;
  ofOption =
    service: option:
    let
      value = (services.${service}.serviceConfig or { }).${option} or null;
      isFound = builtins.any isUnfilled (if isList value then value else [ value ]);
    in
    if isFound then [ { option = [ "systemd" "services" service "serviceConfig" option ]; text = "…"; } ] else [ ];
  ofService = service: concatMap (ofOption service) [ "ExecStartPre" "ExecStart" ];
in
concatMap (name: safely (ofNetwork name)) (attrNames networks) ++ concatMap (name: safely (ofUser name)) (attrNames users) ++ safely ofUpgrade ++ concatMap (name: safely (ofService name)) names
