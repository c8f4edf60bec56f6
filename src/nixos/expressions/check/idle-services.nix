# The names of the services that run a program, that nixpkgs itself does not define, and that nothing in the configuration starts.
# What may start a service in a way that is not read here, such as D-Bus or a udev rule, makes it none of them.
{ config, options, commands }:
let
  inherit (builtins) any attrNames concatMap elem filter head isList;
  inherit (commands) contains isEnabled isOfNixpkgs list namesIn;

  units = config.systemd or { };
  services = units.services or { };
  option = (options.systemd or { }).services or { };
  # The names that one of the definitions of `systemd.services` has.
  ofNixpkgs = namesIn isOfNixpkgs option;
  unique = commands.namesOfUser option (attrNames services);

  relations = [ "wants" "requires" "requisite" "bindsTo" "upholds" "onFailure" "onSuccess" ];
  # The same in the words of systemd.
  keywords = [ "Wants" "Requires" "Requisite" "BindsTo" "Upholds" "OnFailure" "OnSuccess" ];
  started = unit: other: any (relation: elem unit (other.${relation} or [ ])) relations || any (keyword: contains unit (toString ((other.unitConfig or { }).${keyword} or ""))) keywords;
  # What is not enabled starts nothing, and a build does not evaluate it.
  enabled = kind: filter isEnabled (list (units.${kind} or { }));
  kinds = [ "services" "targets" "sockets" "timers" "paths" "mounts" "automounts" "slices" ];
  isNamed = unit: any (kind: any (started unit) (enabled kind)) kinds;
  isTriggered =
    name:
    any (kind: isEnabled ((units.${kind} or { }).${name} or { enable = false; })) [ "sockets" "timers" "paths" ]
    || any (timer: (timer.timerConfig or { }).Unit or null == "${name}.service") (enabled "timers")
    || any (path: (path.pathConfig or { }).Unit or null == "${name}.service") (enabled "paths")
    || any (socket: (socket.socketConfig or { }).Service or null == "${name}.service") (enabled "sockets");

  ownServices = name: filter isEnabled (map (other: services.${other}) (filter (other: other != name && services ? ${other}) unique));
  # What cannot be evaluated may have the name.
  isInCommands = name: (found: !found.success || found.value) (builtins.tryEval (any (contains name) (concatMap commands.ofService (ownServices name))));

  # A list whose first command is empty changes the program of a unit that a package has.
  isProgram = command: if isList command then command != [ ] && head command != "" else command != null && command != "";
  runs = service: (service.script or "") != "" || isProgram ((service.serviceConfig or { }).ExecStart or null);
  starts = service: any (name: service.${name} or [ ] != [ ]) [ "wantedBy" "requiredBy" "upheldBy" "startAt" "aliases" ];
  isIdle =
    name:
    let
      service = services.${name};
    in
    services ? ${name}
    && !elem name ofNixpkgs
    && !contains "@" name
    && isEnabled service
    && !starts service
    && runs service
    && !((service.serviceConfig or { }) ? BusName)
    && !isTriggered name
    && !isNamed "${name}.service"
    && !isInCommands name;
in
filter isIdle unique
