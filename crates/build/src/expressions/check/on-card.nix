# What goes wrong on the board although the card starts: see the facts of the same names in crates/nix/src/check/facts.rs.
{ config, options, commands, wordsOf }:
let
  inherit (builtins) all any attrNames concatMap elem filter isAttrs isList isString match substring stringLength tryEval;
  inherit (commands) contains isInStore safely;

  services = config.services or { };
  systemd = config.systemd or { };
  upgrade = config.system.autoUpgrade or { };
  # Whose Nix evaluates and builds on another machine.
  isElsewhere = any (flag: isString flag && contains "--build-host" flag) (upgrade.flags or [ ]);
  hasSwap = (config.swapDevices or [ ]) != [ ] || (config.zramSwap or { }).enable or false;

  # What puts files onto the card, or makes them at its first start: of such commands nothing more is known.
  copies = [ "cat" "cp" "debugfs" "echo" "install" "mcopy" "mv" "printf" "rsync" "tar" "tee" ];
  isCopied = any (name: any (word: elem (baseNameOf word) copies) (wordsOf name)) [ "populateRootCommands" "preBuildCommands" "postBuildCommands" ];
  isUserData = (services.cloud-init or { }).enable or false;
  etc = config.environment.etc or { };
  mounts = filter (path: path != "/") (attrNames (config.fileSystems or { }));
  isMounted = path: any (mount: substring 0 (stringLength mount + 1) path == "${mount}/") mounts;
  # The scripts of agenix and sops-nix name the keys that they read.
  scripts = concatMap (set: concatMap (name: if match "agenix.*|setupSecrets.*" name != null then [ ] else [ (set.${name}.text or set.${name}) ]) (attrNames set)) (
    filter isAttrs (commands.ofUser ((options.system or { }).activationScripts or { }))
  );
  ofUser = concatMap (name: commands.ofService (systemd.services.${name} or { })) (commands.namesOfUser ((options.systemd or { }).services or { }) [ ]);
  isMade = path: any (text: isString text && contains (baseNameOf path) text) (safely scripts ++ safely (filter (contains (baseNameOf path)) ofUser));
  # NixOS makes a host key at the first start. No other key is there before somebody puts it there.
  isAbsent = path: isString path && !isInStore path && !(etc ? ${etcName path}) && !isMounted path && !isMade path;
  etcName = path: if substring 0 5 path == "/etc/" then substring 5 (stringLength path) path else "";
  lateKey =
    option: paths: secrets:
    if paths != [ ] && secrets != { } && all isAbsent paths then [ { inherit option paths; secrets = attrNames secrets; files = map (name: secrets.${name}.path or null) (attrNames secrets); } ] else [ ];
  age = config.age or { };
  sops = config.sops or { };
  ofSops = sops.age or { };
  gnupg = sops.gnupg or { };
  keyFile = filter (path: path != null) [ (ofSops.keyFile or null) ];
  otherKeys = ofSops.sshKeyPaths or [ ] ++ gnupg.sshKeyPaths or [ ] ++ filter (path: path != null) [ (gnupg.home or null) ];
  # Without that file sops-nix decrypts nothing, whatever other keys there are, unless it makes the file.
  identities = if keyFile == [ ] then otherKeys else if ofSops.generateKey or false && !all isAbsent otherKeys then [ ] else keyFile;
  late =
    if isCopied || isUserData then
      [ ]
    else
      safely (
        lateKey [ "age" "identityPaths" ] (age.identityPaths or [ ]) (age.secrets or { })
        ++ lateKey [ "sops" "age" (if keyFile == [ ] then "sshKeyPaths" else "keyFile") ] identities (sops.secrets or { })
      );

  # The option and its value: one port, or several.
  serial = option: value: concatMap (port: if isString port && match "/dev/(tty(AMA|S)[0-9]+|serial0)" port != null then [ { inherit option port; } ] else [ ]) (if isList value then value else [ value ]);
  ifEnabled = set: if set.enable or false == true then set else { };
  settings = name: (ifEnabled (services.${name} or { })).settings or { };

  kernel = (config.boot.kernelPackages or { }).kernel or { };
  position = (kernel.meta or { }).position or "";
  vendor = tryEval (if match ".*/raspberry-pi/common/kernel[.]nix(:.*)?" position != null then kernel.name or null else null);
in
{
  upgrades_in_memory = upgrade.enable or false == true && !isElsewhere && !hasSwap;
  late_keys = map (key: removeAttrs key [ "files" ]) late;
  # Where the secrets are when they are decrypted.
  lateFiles = concatMap (key: key.files) late;
  serial_services = safely (
    serial [ "services" "gpsd" "devices" ] ((ifEnabled (services.gpsd or { })).devices or [ ])
    ++ serial [ "services" "zigbee2mqtt" "settings" "serial" "port" ] (((settings "zigbee2mqtt").serial or { }).port or null)
    ++ serial [ "services" "klipper" "settings" "mcu" "serial" ] (((settings "klipper").mcu or { }).serial or null)
    ++ serial [ "services" "deconz" "device" ] ((ifEnabled (services.deconz or { })).device or null)
  );
  vendor_kernel = if vendor.success then vendor.value else null;
}
