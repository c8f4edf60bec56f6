# Names and values in sets of the user's own whose names NixOS does not check:
#
#   sets        the paths of such sets, each with the names in it
#   times       options with the times at which a timer starts its service, each with one of them, and whether it is the only one
#   features    options with experimental features of Nix, each with what they have
#   ssh_port    a port that is set beside `services.openssh.ports`
#   governor    that of the processor
#   key_map     that of the console, unless it is a path
#   has_own_ssh_ports   whether the configuration sets that option
{ config, options, commands }:
let
  inherit (builtins) attrNames concatMap elem elemAt filter isAttrs isInt isList isString length match;
  inherit (commands) isEnabled namesOfUser safely;

  systemd = { set = config.systemd or { }; option = options.systemd or { }; path = [ "systemd" ]; };
  ofUsers = { set = systemd.set.user or { }; option = systemd.option.user or { }; path = [ "systemd" "user" ]; };
  # The enabled units of a kind that files outside nixpkgs define.
  ownOf = manager: kind: (all: filter (name: all ? ${name} && safely [ (isEnabled all.${name}) ] == [ true ]) (namesOfUser (manager.option.${kind} or { }) (attrNames all))) (manager.set.${kind} or { });
  forOwn = kind: find: concatMap (manager: concatMap (name: safely (find (manager.path ++ [ kind name ]) manager.set.${kind}.${name})) (ownOf manager kind)) [ systemd ofUsers ];

  # NixOS writes no setting that is null.
  isWritten = set: name: safely [ (set.${name} != null) ] == [ true ];
  setOf = path: set: if isAttrs set then [ { inherit path; names = filter (isWritten set) (attrNames set); } ] else [ ];
  sectionsOf = names: path: unit: concatMap (name: setOf (path ++ [ name ]) (unit.${name} or { })) names;

  timesOf = option: value: (all: map (text: { inherit option text; is_only = length all == 1; }) (filter isString all)) (if isList value then value else [ value ]);

  ssh = config.services.openssh or { };
  sshSettings = if ssh.enable or false && isAttrs (ssh.settings or null) then ssh.settings else { };
  port = safely [ (sshSettings.Port or null) ];
  ports = safely (ssh.ports or [ ]);

  # What cannot be evaluated is null too.
  textOf = path: (found: if found != [ ] && isString (elemAt found 0) then elemAt found 0 else null) (safely [ (builtins.foldl' (set: name: if isAttrs set then set.${name} or null else null) config path) ]);

  nixSettings = if (config.nix or { }).enable or true then (config.nix or { }).settings or { } else { };
  featuresOf =
    name:
    let
      value = nixSettings.${name} or null;
      all = if isList value then value else [ value ];
    in
    if filter isString all == all then [ { option = [ "nix" "settings" name ]; texts = all; } ] else [ ];
in
{
  sets =
    forOwn "services" (sectionsOf [ "serviceConfig" "unitConfig" ])
    ++ forOwn "timers" (sectionsOf [ "timerConfig" "unitConfig" ])
    ++ setOf [ "services" "openssh" "settings" ] sshSettings
    ++ setOf [ "nix" "settings" ] nixSettings
    ++ safely (setOf [ "nixpkgs" "config" ] ((config.nixpkgs or { }).config or { }));
  times =
    forOwn "timers" (path: timer: timesOf (path ++ [ "timerConfig" "OnCalendar" ]) ((timer.timerConfig or { }).OnCalendar or null))
    ++ forOwn "services" (path: service: timesOf (path ++ [ "startAt" ]) (service.startAt or null));
  features = concatMap (name: safely (featuresOf name)) [ "experimental-features" "extra-experimental-features" ];
  ssh_port = if port != [ ] && isInt (elemAt port 0) && !elem (elemAt port 0) ports then elemAt port 0 else null;
  governor = textOf [ "powerManagement" "cpuFreqGovernor" ];
  key_map = (name: if name != null && match "[^/]+" name != null then name else null) (textOf [ "console" "keyMap" ]);
  has_own_ssh_ports = (((options.services or { }).openssh or { }).ports or { }).highestPrio or 1500 < 1500;
}
