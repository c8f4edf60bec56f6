# The files in which the machine is to swap and that nothing makes: NixOS makes those with a size.
{ config, options, commands }:
let
  inherit (builtins) any attrNames concatMap filter isString match;
  inherit (commands) contains safely;

  devices = config.swapDevices or [ ];
  services = (config.systemd or { }).services or { };
  own = filter (name: services ? ${name}) (commands.namesOfUser ((options.systemd or { }).services or { }) (attrNames services));
  isMade = import ./made-files.nix { inherit config commands; };
  textsOf = service: commands.ofService service ++ commands.environmentOf service;
  # Also in commands that cannot be evaluated.
  isNamed = file: (r: !r.success || r.value) (builtins.tryEval (any (contains file) (concatMap (name: textsOf services.${name}) own)));
  isOptional = swap: any (option: builtins.elem option [ "noauto" "nofail" ]) (swap.options or [ ]);
  isMissing = swap: isString (swap.device or null) && match "/(dev/.*)?" swap.device == null && match "/.*" swap.device != null && swap.size or null == null && !((swap.randomEncryption or { }).enable or false) && !isOptional swap && !isMade swap.device && !isNamed swap.device;
in
safely (map (swap: swap.device) (filter isMissing devices))
