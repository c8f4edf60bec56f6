# The user's modules, and those of others that they import, with a `pkgs` of their own; nixpkgs' modules stay as they are.
#
# `change` returns the arguments that such a module gets, from those that the module system gives it. `ofContainers` are modules for
# the systems of NixOS's containers that these modules define.
{ lib, change, ofContainers }:
let
  nixpkgs = "${toString <nixpkgs>}/";
  isFile = module: builtins.isPath module || builtins.isString module;

  changed =
    module:
    if isFile module then
      if lib.hasPrefix nixpkgs (toString module) then module else located (toString module) (import module)
    else
      inner module;
  # The module in a file: with its name in messages, and once even if it is imported twice.
  located = file: written (module: { _file = file; key = file; } // module);
  inner = written (module: module);
  # Applies `adding` to what a module consists of.
  written =
    adding: module:
    if lib.isFunction module then
      lib.setFunctionArgs (arguments: written adding (module (change arguments))) (lib.functionArgs module)
    else if builtins.isAttrs module then
      adding (
        mapContent withModules module
        // lib.optionalAttrs (module ? imports) { imports = map changed module.imports; }
        // lib.optionalAttrs (module ? config) { config = mapContent withModules module.config; }
      )
    # Not a module: the module system says so.
    else
      module;

  withModules = set: withContainers (withVariants set);
  # What the user adds to nixpkgs' image variants.
  withVariants = mapAttribute "image" (mapAttribute "modules" (variants: if builtins.isAttrs variants then lib.mapAttrs (_: mapContent changed) variants else variants));
  # A container is evaluated by itself, with the modules that the option `config` has.
  withContainers = mapAttribute "containers" (containers: if builtins.isAttrs containers then lib.mapAttrs (_: mapContent containerWithModules) containers else containers);
  containerWithModules = mapAttribute "config" (module: { imports = [ (changed module) ] ++ ofContainers; });
  mapAttribute =
    name: to: set:
    if builtins.isAttrs set && set ? ${name} then set // { ${name} = mapContent to set.${name}; } else set;
  # Applies `to` to the value inside mkIf, mkForce, mkOrder and mkMerge.
  mapContent =
    to: value:
    if value ? content && value ? _type then
      value // { content = mapContent to value.content; }
    else if value._type or null == "merge" then
      value // { contents = map (mapContent to) value.contents; }
    else
      to value;
in
changed
