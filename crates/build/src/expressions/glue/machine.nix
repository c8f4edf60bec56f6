# The builder's own standard environment (without a compiler), in which commands see the image's machine: `system` and the
# shell's variables have its values, and the programs whose results depend on the machine are the image's own, which run
# through the handler.
{ lib, target, native }:
let
  # `bash` and `sh`, because a script can see everything that its shell has compiled in. The other programs print the
  # machine's name, also as a part of one program with many names (busybox runs its other parts by itself, as the argument
  # of `env`, say), or calculate in C's long double.
  programs = [
    "bash" "sh" "uname" "arch" "coreutils" "busybox" "env" "nice" "nohup" "timeout" "make"
    "printf" "seq" "numfmt" "sort" "od"
  ];
  # The last one is set by nixpkgs on x86_64 only.
  variables = [ "system" "HOSTTYPE" "MACHTYPE" "OSTYPE" "NIX_LIB64_IN_SELF_RPATH" ];

  # Made by the image's own shell, so both are what an emulated command finds. The reference to a native shell makes the
  # guard find whatever refers to this.
  answers = target.stdenvNoCC.mkDerivation {
    name = "sdbuild-machine";
    builderShell = native.stdenvNoCC.shell;
    preferLocalBuild = true;
    allowSubstitutes = false;
    buildCommand = ''
      mkdir -p $out/bin
      for name in ${toString programs}; do
        ! path=$(type -P "$name") || ln -s "$path" $out/bin/
      done
      for name in ${toString variables}; do
        if [ -n "''${!name+set}" ]; then printf '%s=%q\n' "$name" "''${!name}"; else echo "unset $name"; fi
      done >$out/variables
      ln -s "$builderShell" $out/native
    '';
  };
  stdenv = native.stdenvNoCC.override (
    old:
    {
      initialPath = [ answers ] ++ old.initialPath;
      preHook = (old.preHook or "") + "\n. ${answers}/variables\n";
    }
    // lib.optionalAttrs (old ? allowedRequisites) { allowedRequisites = null; }
  );
in
# The native package set with this environment.
native // { inherit stdenv; stdenvNoCC = stdenv; }
