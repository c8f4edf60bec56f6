# Whether the machine upgrades itself to a configuration that it does not have: without a flake `nixos-rebuild` reads /etc/nixos, which is
# empty in an image.
{ config, commands }:
let
  inherit (builtins) any attrNames filter isString match split;

  upgrade = config.system.autoUpgrade or { };
  service = (config.systemd.services or { }).nixos-upgrade or { };
  isMade = import ./made-files.nix { inherit config commands; };
  hasFile = any (name: match "nixos(/.*)?" name != null) (attrNames (config.environment.etc or { })) || isMade "/etc/nixos/configuration.nix";
  # Flags with another configuration.
  words = flag: filter isString (split "[ \t\n]+" flag);
  namesOther = word: match "(-f|-A|-F|--file|--attr|--flake|--store-path)(=.*)?|(-I)?nixos-config=.*" word != null;
  isNamed = any (flag: isString flag && any namesOther (words flag)) (upgrade.flags or [ ]);
  isInPath = any (entry: isString entry && match "nixos-config=.*" entry != null && entry != "nixos-config=/etc/nixos/configuration.nix") ((config.nix or { }).nixPath or [ ]);
  # It may write the file.
  mayBeWritten = (config.services.cloud-init or { }).enable or false;
in
upgrade.enable or false == true && (upgrade.flake or null) == null && service.enable or true && !hasFile && !isNamed && !isInPath && !mayBeWritten
