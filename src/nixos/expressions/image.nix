# The image of a configuration: the first of the format's attributes of `config.system.build` that it has. Without one it is
# the first, whose absence Nix reports.
configuration:
let
  inherit (configuration.config.system) build;
  has = path: set: path == [ ] || builtins.isAttrs set && set ? ${builtins.head path} && has (builtins.tail path) set.${builtins.head path};
  get = builtins.foldl' (set: name: set.${name}) build;
  candidates = import ./format.nix;
  found = builtins.filter (path: has path build) candidates;
in
get (builtins.head (found ++ candidates))
