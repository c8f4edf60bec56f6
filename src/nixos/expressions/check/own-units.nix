# Settings of the user's own units that systemd does not follow:
#
#   missing_targets   targets that nothing in the configuration makes and for which such a unit is to be started, with all of the option
#   idle_timers       timers that nothing starts
#   missing_accounts  users and groups as which services are to run, and that do not exist
#   missing_login     the user whom the console is to log in, if that one does not exist
#   service_users     users as which services run, or whom a display manager logs in
#   bare_paths        options of services with a path of the configuration, of which NixOS copies no file
#   suffixed          units with a name that has the suffix which NixOS adds
#   shell_commands    options of services with signs of a shell, which systemd does not know
{ config, options, commands }:
let
  inherit (builtins) any attrNames concatMap elem filter isAttrs isList isString match split;
  inherit (commands) contains isEnabled isOfNixpkgs list namesIn namesOfUser safely;

  units = config.systemd or { };
  optionOf = kind: (options.systemd or { }).${kind} or { };
  # The enabled units of a kind that files outside nixpkgs define.
  ownOf = kind: (all: filter (name: all ? ${name} && isEnabled all.${name}) (namesOfUser (optionOf kind) (attrNames all))) (units.${kind} or { });
  # Those that nixpkgs does not define besides.
  onlyOwnOf = kind: filter (name: !elem name (namesIn isOfNixpkgs (optionOf kind))) (ownOf kind);

  # systemd's settings are written by `toString`, which copies nothing. Of a file outside the configuration that is meant.
  pathsOf =
    service:
    let
      settings = units.services.${service}.serviceConfig or { };
      pathsIn = value: filter builtins.isPath (if isList value then value else [ value ]);
      relativeTo = path: filter (file: file != null) (map (dir: fromDirectory path dir "./") (directoriesOf service path));
      found = option: concatMap (path: map (file: { inherit service option file; }) (firstOf (relativeTo (plain path)))) (pathsIn settings.${option});
    in
    concatMap found (attrNames settings);

  suffixes = { services = "service"; timers = "timer"; sockets = "socket"; paths = "path"; targets = "target"; };
  plain = path: builtins.unsafeDiscardStringContext (toString path);
  firstOf = list: if list == [ ] then [ ] else [ (builtins.head list) ];
  # The directories of the files that define the service, and those of the whole configuration, for a module in `flake.nix`, which has no
  # file, and for a nixpkgs that does not tell files.
  directoriesOf =
    service: path:
    let
      files = commands.filesWith service (optionOf "services");
      store = match "(${builtins.storeDir}/[^/]+)/.*" path;
    in
    map dirOf (filter (file: match "/.*" file != null) files) ++ (if store == null then [ "/build/config" ] else store);
  # The path as a file in the directory `dir` names it, if it is below the configuration.
  fromDirectory =
    path: dir: up:
    let
      start = "${dir}/";
      length = builtins.stringLength start;
      parent = if up == "./" then "../" else "${up}../";
    in
    if builtins.substring 0 length path == start then
      up + builtins.substring length (-1) path
    else if elem (dirOf dir) [ "/" "/build" builtins.storeDir ] then
      null
    else
      fromDirectory path (dirOf dir) parent;
  hasSuffixOf = kind: name: match ".+[.]${suffixes.${kind}}" name != null;

  targets = units.targets or { };
  made = map (name: "${name}.target") (attrNames targets) ++ concatMap (target: target.aliases or [ ]) (list targets) ++ attrNames (units.units or { });
  starting = [ "wantedBy" "requiredBy" "upheldBy" ];
  # A name without a kind of units is none.
  isMissing = target: isString target && (match "[^@]+[.]target" target != null && !elem target made || match "[^@.]+" target != null);
  targetsOf =
    kind: unit: option:
    let
      all = (units.${kind}.${unit}).${option} or [ ];
    in
    map (target: { inherit kind unit option target all; }) (filter isMissing all);
  missingOf = kind: concatMap (unit: safely (concatMap (targetsOf kind unit) starting)) (ownOf kind);

  enabled = kind: filter isEnabled (list (units.${kind} or { }));
  relations = [ "wants" "requires" "requisite" "bindsTo" "upholds" "onFailure" "onSuccess" ];
  keywords = [ "Wants" "Requires" "Requisite" "BindsTo" "Upholds" "OnFailure" "OnSuccess" ];
  starts = unit: other: any (relation: elem unit (other.${relation} or [ ])) relations || any (keyword: contains unit (toString ((other.unitConfig or { }).${keyword} or ""))) keywords;
  isNamed = unit: any (kind: any (starts unit) (enabled kind)) [ "services" "targets" "sockets" "timers" "paths" "mounts" "automounts" "slices" ];
  textsOf = service: commands.ofService service ++ commands.environmentOf service;
  ownTexts = concatMap (name: textsOf units.services.${name}) (ownOf "services");
  isIdle =
    name:
    let
      timer = units.timers.${name};
      service = (units.services or { }).${name} or { };
    in
    !contains "@" name
    && !any (option: timer.${option} or [ ] != [ ]) (starting ++ [ "aliases" ])
    && service.startAt or [ ] == [ ]
    && !isNamed "${name}.timer"
    && !any (contains "${name}.timer") ownTexts;
  # What cannot be evaluated may start it.
  idle = filter (name: safely (if isIdle name then [ name ] else [ ]) != [ ]) (onlyOwnOf "timers");

  users = config.users or { };
  namesOf = set: filter isString (map (one: one.name or null) (filter isEnabled (list set)));
  accounts = { User = namesOf (users.users or { }); Group = namesOf (users.groups or { }); };
  isOn = path: (foldedOf config path) == true;
  foldedOf = builtins.foldl' (set: name: if isAttrs set then set.${name} or null else null);
  # A newer nixpkgs warns of this name.
  oldKanidm = [ "services" "kanidm" ] ++ (if (config.services or { }).kanidm or { } ? unix then [ "unix" "enable" ] else [ "enablePam" ]);
  # These know other users.
  hasOthers = any isOn [ [ "users" "ldap" "enable" ] [ "users" "mysql" "enable" ] [ "services" "sssd" "enable" ] [ "services" "kanidm" "unix" "enable" ] [ "services" "himmelblau" "enable" ] [ "services" "homed" "enable" ] [ "services" "userdbd" "enable" ] ] || isOn oldKanidm || isOn [ "services" "samba" "enable" ] && isOn [ "services" "samba" "winbindd" "enable" ] || any (name: match "(sysusers[.]d|userdb)/.*" name != null) (attrNames ((config.environment or { }).etc or { }));
  isDynamic = service: !elem ((service.serviceConfig or { }).DynamicUser or false) [ false "false" "no" "off" "0" null ];
  dynamicOf =
    name:
    let
      service = units.services.${name};
    in
    if isEnabled service && isDynamic service then [ name ((service.serviceConfig or { }).User or name) ((service.serviceConfig or { }).Group or name) ] else [ ];
  dynamic = concatMap (name: safely (dynamicOf name)) (attrNames (units.services or { }));
  isAccount = value: isString value && match "[A-Za-z_][A-Za-z0-9_.-]*" value != null;
  accountsOf =
    service:
    let
      config = units.services.${service}.serviceConfig or { };
      isMissing = option: isAccount (config.${option} or null) && !elem config.${option} (accounts.${option} ++ dynamic);
    in
    if isDynamic units.services.${service} || config ? RootDirectory || config ? RootImage then [ ] else map (option: { inherit service option; name = config.${option}; }) (filter isMissing [ "User" "Group" ]);

  userOf = service: filter isAccount [ ((units.services.${service}.serviceConfig or { }).User or null) ];
  services = config.services or { };
  loggedIn = [
    (((services.displayManager or { }).autoLogin or { }).user or null)
    ((((services.greetd or { }).settings or { }).initial_session or { }).user or null)
  ];

  # Signs that stand alone outside of quotes.
  signs = [ "&&" "||" "|" ">" ">>" "2>" "2>&1" "&>" "<" "&" ];
  # These take some of them for arguments of their own.
  isCalculator = command: match "[^ \t]*/(expr|test|\\[)[ \t].*" command != null;
  outsideOfQuotes = command: filter isString (split "\"[^\"]*\"|'[^']*'" command);
  wordsOf = text: filter isString (split "[ \t\n]+" text);
  # Of quotes in quotes nothing is known.
  isUnread = command: contains "\\" command || builtins.stringLength command > 2000 || isCalculator command;
  signsIn = command: if isUnread command then [ ] else filter (word: elem word signs) (concatMap wordsOf (outsideOfQuotes (builtins.unsafeDiscardStringContext command)));
  shellOf =
    service:
    let
      config = units.services.${service}.serviceConfig or { };
      commandsIn = value: filter isString (if isList value then value else [ value ]);
      found = option: (signs: if signs == [ ] then [ ] else [ { inherit service option; sign = builtins.head signs; is_list = isList config.${option}; } ]) (concatMap signsIn (commandsIn (config.${option} or null)));
    in
    concatMap found [ "ExecStartPre" "ExecStart" ];
in
{
  missing_targets = concatMap missingOf [ "services" "timers" "sockets" "paths" ];
  targets = attrNames targets;
  idle_timers = idle;
  missing_accounts = if hasOthers then [ ] else concatMap (name: safely (accountsOf name)) (onlyOwnOf "services");
  accounts = accounts.User;
  missing_login = (found: if found == [ ] then null else builtins.head found) (if hasOthers then [ ] else filter (name: isAccount name && !elem name accounts.User) (safely [ ((services.getty or { }).autologinUser or null) ]));
  service_users = concatMap (name: safely (userOf name)) (attrNames (units.services or { })) ++ safely (filter isAccount loggedIn);
  bare_paths = concatMap (name: safely (pathsOf name)) (ownOf "services");
  suffixed = concatMap (kind: map (unit: { inherit kind unit; }) (filter (hasSuffixOf kind) (onlyOwnOf kind))) (attrNames suffixes);
  shell_commands = concatMap (name: safely (shellOf name)) (onlyOwnOf "services");
}
