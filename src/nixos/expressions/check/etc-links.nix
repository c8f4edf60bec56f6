# The files in `/etc` that are links to a path that is neither in the store nor made by anything in the configuration, each with its
# name and its path.
{ config, commands }:
let
  inherit (builtins) attrNames filter isString;

  etc = config.environment.etc or { };
  isMade = import ./made-files.nix { inherit config commands; };
  isLink = file: commands.isEnabled file && isString (file.source or null) && !builtins.hasContext file.source;
in
map (name: { inherit name; inherit (etc.${name}) source; }) (filter (name: isLink etc.${name} && !isMade etc.${name}.source) (attrNames etc))
