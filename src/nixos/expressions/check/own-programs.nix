# What the user's own services start, as far as it is not in the store: each with the name of its service, the option that names it, and
# the path, or the name alone, of the program or of the script that an interpreter runs. No other word of a command is among them: it
# may be a secret.
{ config, options, commands }:
let
  inherit (builtins) any attrNames concatMap elem elemAt filter genList head isList isString length match split substring;
  inherit (commands) contains isEnabled namesOfUser safely;

  services = (config.systemd or { }).services or { };
  names = filter (name: services ? ${name} && isEnabled services.${name}) (namesOfUser ((options.systemd or { }).services or { }) (attrNames services));
  isMade = import ./made-files.nix { inherit config commands; };

  # Without these the service does not start.
  starting = [ "ExecStartPre" "ExecStart" ];
  commandsIn = value: filter (command: isString command && command != "") (if isList value then value else [ value ]);
  # An empty command takes away those of the unit that is extended.
  isReset = value: isList value && value != [ ] && head value == "";
  # Whether a definition of the user's has to go before others: those of nixpkgs, or that it is written so.
  ofNixpkgs = commands.namesIn commands.isOfNixpkgs ((options.systemd or { }).services or { });
  isOverride = service: option: definition: (definition.${service}.serviceConfig.${option}._type or null) == "override";
  isForced = service: option: elem service ofNixpkgs || any (isOverride service option) (commands.definitionsIn commands.isOfUser ((options.systemd or { }).services or { }));
  # Long texts are too much for a regular expression.
  wordsOf = command: filter (word: isString word && word != "") (split "[ \t\n]+" (substring 0 2000 command));
  interpreter = "(.*/)?(bash|dash|lua|node|perl|php|python[0-9.]*|ruby|sh)";
  # Options that have no argument.
  switches = [ "-B" "-O" "-e" "-eu" "-eux" "-ex" "-s" "-u" "-x" ];
  startedBy =
    command:
    let
      words = wordsOf (builtins.unsafeDiscardStringContext command);
      program = head words;
      rest = filter (word: !elem word switches) (builtins.tail words);
      isScript = match interpreter program != null && rest != [ ] && match "/.*" (head rest) != null;
      # It means something to systemd (systemd.service(5)): after `-`, for instance, a failure is ignored.
      hasSign = match "[-@:+!|].*" program != null;
    in
    if words == [ ] || hasSign then [ ] else [ program ] ++ (if isScript then [ (head rest) ] else [ ]);

  # What systemd or a user's quotes make of it is not known.
  # Also the beginning of one who means `${pkgs.NAME}`.
  isPlain = path: path != "" && match "([$][(]pkgs[.][-A-Za-z0-9_.]+[)])?[-A-Za-z0-9_./+]+" path != null;
  isElsewhere = path: match "/(nix/store|run)/.*" path == null;
  # What one service makes, another one may start.
  parts = path: if match "/(bin|sbin|usr)/.*" path != null then path else dirOf path;
  # That a text names a program of other systems does not make that program: another service may be wrong as well.
  makers = [ "cp " "install" "ln " "mount" "mv " "rsync" "tee " ">" ];
  mayMake = path: text: contains (parts path) text && (match "/(bin|sbin|usr)/.*" path == null || any (maker: contains maker text) makers);
  textsBeside = name: option: concatMap commands.ofService (map (other: if other == name then without option services.${other} else services.${other}) names);
  without = option: service: removeAttrs service [ option ] // { serviceConfig = removeAttrs (service.serviceConfig or { }) [ option ]; };
  isAbsent =
    name: option: path:
    if match "/.*" path == null then
      !((services.${name}.serviceConfig or { }) ? ExecSearchPath)
    else
      isElsewhere path && !isMade path && !any (mayMake path) (textsBeside name option);
  ofOption =
    service: option:
    let
      config = services.${service}.serviceConfig or { };
      found = command: filter (path: isPlain path && isAbsent service option path) (startedBy command);
      all = commandsIn (config.${option} or null);
      ofCommand = command: map (path: { inherit path service option command; commands = length all; is_reset = isReset (config.${option} or null); is_forced = isForced service option; }) (found (elemAt all command));
      isInOtherRoot = config ? RootDirectory || config ? RootImage;
    in
    if isInOtherRoot then [ ] else concatMap ofCommand (genList (n: n) (length all));
  isFound = service: path: match "/.*" path == null || isAbsent service "script" path;
  ofScript = service: map (path: { inherit path service; option = "script"; }) (filter (isFound service) (import ./script-programs.nix { inherit commands; service = services.${service}; }));
in
concatMap (service: concatMap (option: safely (ofOption service option)) starting ++ safely (ofScript service)) names
