# A small mkDerivation: commands run by bash, with the inputs' programs before those of initialPath in PATH. No compiler.
{ lib, platform, bash, initialPath, preHook ? "" }:
let
  own = [ "passthru" "meta" "pname" "version" ];
  toEnv = args: builtins.removeAttrs args own // (if args ? pname then { inherit (args) pname; version = args.version or ""; } else { });

  make =
    args:
    let
      name = args.name or "${args.pname}-${args.version}";
      drv = derivation (
        { inherit (platform) system; inherit initialPath; }
        // lib.optionalAttrs (preHook != "") { inherit preHook; }
        // toEnv args
        // { inherit name; builder = "${bash}/bin/bash"; args = [ ./builder.sh ]; }
      );
      changed = f: if lib.isFunction f then args // f args else args // f;
      extra = { inherit name; meta = args.meta or { }; passthru = args.passthru or { }; overrideAttrs = f: make (changed f); } // (if args ? pname then { inherit (args) pname; version = args.version or ""; } else { });
    in
    drv // extra // (args.passthru or { });
in
{
  inherit (platform) system;
  hostPlatform = platform;
  buildPlatform = platform;
  targetPlatform = platform;
  shell = "${bash}/bin/bash";
  hasCC = false;
  mkDerivation = make;
}
