# What a platform string means: the attributes of nixpkgs' elaborated systems that configurations read.
lib: {
  elaborate =
    given:
    let
      system = if builtins.isString given then given else given.system or (throw "a platform needs the attribute `system'");
      parts = builtins.match "(aarch64|x86_64)-linux" system;
      named = builtins.head (builtins.split "-" system);
      # As nixpkgs says it, of fewer systems.
      unknown =
        if named == system then
          throw "system string '${system}' with 1 component is ambiguous"
        else
          throw "Unknown CPU type: ${named}";
      cpu = if parts == null then unknown else builtins.head parts;
    in
    {
      inherit system;
      config = "${cpu}-unknown-linux-gnu";
      qemuArch = cpu;
      linuxArch = if cpu == "aarch64" then "arm64" else cpu;
      debianArch = if cpu == "aarch64" then "arm64" else "amd64";
      efiArch = if cpu == "aarch64" then "aa64" else "x64";
      isAarch64 = cpu == "aarch64";
      isx86_64 = cpu == "x86_64";
      isLinux = true;
      isDarwin = false;
      is64bit = true;
      uname = { system = "Linux"; processor = cpu; };
    };
}
