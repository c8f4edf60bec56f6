# The user's modules, and those of others that they import, with a `pkgs` of their own; nixpkgs' modules stay as they are.
#
# `change` returns the arguments that such a module gets, from those that the module system gives it.
{ lib, change }:
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
      adding (module // lib.optionalAttrs (module ? imports) { imports = map changed module.imports; })
    # Not a module: the module system says so.
    else
      module;
in
changed
