# Whether the machine upgrades itself to a configuration that it does not have: without a flake `nixos-rebuild` reads /etc/nixos, which is
# empty in an image.
{ config, options, commands }:
let
  inherit (builtins) any attrNames filter isString match split tryEval;

  upgrade = config.system.autoUpgrade or { };
  service = (config.systemd.services or { }).nixos-upgrade or { };
  hasFile = any (name: match "nixos(/.*)?" name != null) (attrNames (config.environment.etc or { }));
  tmpfiles = (config.systemd or { }).tmpfiles or { };
  isMade = any (rule: isString rule && commands.contains "/etc/nixos" rule) ((tmpfiles.rules or [ ]) ++ builtins.concatMap attrNames (commands.list (tmpfiles.settings or { })));
  # Flags with another configuration.
  words = flag: filter isString (split "[ \t\n]+" flag);
  namesOther = word: match "(-f|-A|-F|--file|--attr|--flake|--store-path)(=.*)?|(-I)?nixos-config=.*" word != null;
  isNamed = any (flag: isString flag && any namesOther (words flag)) (upgrade.flags or [ ]);
  isInPath = any (entry: isString entry && match "nixos-config=.*" entry != null && entry != "nixos-config=/etc/nixos/configuration.nix") ((config.nix or { }).nixPath or [ ]);
  # What the user changes in the service may name another configuration, and what they mount or start may bring one.
  services = (config.systemd or { }).services or { };
  ofUser = filter (name: services ? ${name}) (commands.namesOfUser ((options.systemd or { }).services or { }) (attrNames services));
  isChanged = builtins.elem "nixos-upgrade" ofUser;
  mentions = text: any (part: commands.contains part text) [ "/etc/nixos" "NIXOS_CONFIG" "nixos-config=" ];
  textsOf = name: commands.ofService services.${name} ++ map toString (commands.list (services.${name}.environment or { }));
  # Also one whose commands cannot be evaluated.
  isMentioned = any (name: (r: !r.success || r.value) (tryEval (any mentions (textsOf name)))) ofUser;
  isMounted = any (path: match "/etc(/nixos(/.*)?)?" path != null) (attrNames (config.fileSystems or { }));
  ofSession = (config.environment or { }).sessionVariables or { };
  ofShells = (config.environment or { }).variables or { };
  isInVariable = any (set: set ? NIXOS_CONFIG || set ? NIX_PATH && mentions (toString set.NIX_PATH) && !commands.contains "nixos-config=/etc/nixos/configuration.nix" (toString set.NIX_PATH)) [ ofSession ofShells (service.environment or { }) ];
  isBrought = isChanged || isMounted || isInVariable || isMentioned;
  # It may write the file.
  mayBeWritten = (config.services.cloud-init or { }).enable or false;
in
upgrade.enable or false == true && (upgrade.flake or null) == null && service.enable or true && !hasFile && !isMade && !isNamed && !isInPath && !mayBeWritten && !isBrought
