# The files in `/etc` that are links to a path that is neither in the store nor made by anything in the configuration, each with its
# name and its path. A path that a command may make is none of them.
{ config, options }:
let
  inherit (builtins) any attrNames concatMap elem filter genList isString length;
  commands = import ./commands.nix { inherit config options; };
  inherit (commands) contains isEnabled list;

  etc = config.environment.etc or { };
  units = config.systemd or { };
  tmpfiles = units.tmpfiles or { };
  # The directories above a path, without `/`.
  parentsOf =
    path:
    let
      names = filter (part: isString part && part != "") (builtins.split "/" path);
      first = n: builtins.concatStringsSep "/" (genList (builtins.elemAt names) n);
    in
    genList (n: "/${first (n + 1)}") (if names == [ ] then 0 else length names - 1);

  # A rule may copy a whole directory.
  spaced = builtins.replaceStrings [ "\t" "\"" "'" "\n" ] [ " " " " " " " " ];
  names = rule: dir: contains " ${dir} " " ${spaced rule} " || contains " ${dir}/ " " ${spaced rule} ";
  isOfRule = path: rule: isString rule && (contains path rule || any (names rule) (parentsOf path));
  isOfSettings = path: set: any (dir: set ? ${dir} || set ? "${dir}/") ([ path ] ++ parentsOf path);
  isOfMount = path: mount: elem (mount.where or null) (parentsOf path);

  # Those of nixpkgs make no files of the user's, and name `/root` and `/tmp`.
  isOwn = file: !commands.isOfNixpkgs file;
  own = option: set: if option ? files then map (name: set.${name}) (filter (name: set ? ${name}) (commands.namesIn isOwn option)) else list set;
  services = filter isEnabled (own commands.services (units.services or { }) ++ list ((units.user or { }).services or { }));
  activation = own (options.system.activationScripts or { }) ((config.system or { }).activationScripts or { });
  texts = concatMap commands.ofService services ++ concatMap commands.ofActivation activation ++ commands.ofOptions ++ [ (toString ((config.sdImage or { }).populateRootCommands or "")) ];
  # What cannot be evaluated may have the path.
  isInCommands = path: (found: !found.success || found.value) (builtins.tryEval (any (part: any (contains part) texts) ([ path ] ++ parentsOf path)));

  isMade =
    path:
    config ? home-manager && builtins.match "/(home|root)/.*" path != null
    || any (isOfRule path) (tmpfiles.rules or [ ])
    || any (isOfSettings path) (list (tmpfiles.settings or { }))
    || any (isOfMount path) (list (units.mounts or [ ]) ++ list (units.automounts or [ ]))
    || isInCommands path;
  isLink = file: isEnabled file && isString (file.source or null) && !builtins.hasContext file.source;
in
map (name: { inherit name; inherit (etc.${name}) source; }) (filter (name: isLink etc.${name} && !isMade etc.${name}.source) (attrNames etc))
