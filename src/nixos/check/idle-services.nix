# The names of the services that run a program, that nixpkgs itself does not define, and that nothing in the configuration starts.
# What may start a service in a way that is not read here, such as D-Bus, makes it none of them.
{ config, options }:
let
  inherit (builtins) any attrNames elem elemAt filter;
  list = set: if builtins.isAttrs set then builtins.attrValues set else set;
  contains = part: text: builtins.replaceStrings [ part ] [ "" ] text != text;

  units = config.systemd or { };
  services = units.services or { };
  option = (options.systemd or { }).services or { };
  # The names that one of the definitions of `systemd.services` has; a nixpkgs without such definitions does not say where they are.
  isOfNixpkgs = file: builtins.match ".*/nixos/modules/.*" (toString file) != null;
  namesIn =
    isMeant:
    let
      names = n: if isMeant (elemAt option.files n) && builtins.isAttrs (elemAt option.definitions n) then attrNames (elemAt option.definitions n) else [ ];
    in
    builtins.concatLists (builtins.genList names (builtins.length option.files));
  ofNixpkgs = if option ? files then namesIn isOfNixpkgs else [ ];
  others = if option ? files then namesIn (file: !isOfNixpkgs file) else attrNames services;
  unique = builtins.attrNames (builtins.listToAttrs (map (name: { inherit name; value = null; }) others));

  relations = [ "wants" "requires" "requisite" "bindsTo" "upholds" "onFailure" "onSuccess" ];
  # The same in the words of systemd.
  keywords = [ "Wants" "Requires" "Requisite" "BindsTo" "Upholds" "OnFailure" "OnSuccess" ];
  started = unit: other: any (relation: elem unit (other.${relation} or [ ])) relations || any (keyword: contains unit (toString ((other.unitConfig or { }).${keyword} or ""))) keywords;
  kinds = [ "services" "targets" "sockets" "timers" "paths" "mounts" "automounts" "slices" ];
  isNamed = unit: any (kind: any (started unit) (list (units.${kind} or { }))) kinds;
  isTriggered =
    name:
    any (kind: (units.${kind} or { }) ? ${name}) [ "sockets" "timers" "paths" ]
    || any (timer: (timer.timerConfig or { }).Unit or null == "${name}.service") (list (units.timers or { }))
    || any (path: (path.pathConfig or { }).Unit or null == "${name}.service") (list (units.paths or { }))
    || any (socket: (socket.socketConfig or { }).Service or null == "${name}.service") (list (units.sockets or { }))
    || contains "${name}.service" ((config.services.udev or { }).extraRules or "");

  # A list in which the empty command is the first changes the program of a unit that a package has.
  runs = service: (service.script or "") != "" || (command: command != null && !builtins.isList command) ((service.serviceConfig or { }).ExecStart or null);
  starts = service: any (name: service.${name} or [ ] != [ ]) [ "wantedBy" "requiredBy" "upheldBy" "startAt" "aliases" ];
  isIdle =
    name:
    let
      service = services.${name};
    in
    services ? ${name}
    && !elem name ofNixpkgs
    && !contains "@" name
    && service.enable or true
    && !starts service
    && runs service
    && !((service.serviceConfig or { }) ? BusName)
    && !isTriggered name
    && !isNamed "${name}.service";
in
filter isIdle unique
