# sdbuild as a package of nixpkgs.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  src,
}:

rustPlatform.buildRustPackage {
  pname = "sdbuild";
  inherit ((lib.importTOML ../../Cargo.toml).workspace.package) version;
  inherit src;

  cargoLock.lockFile = ../../Cargo.lock;

  nativeBuildInputs = [ installShellFiles ];

  # Most tests need an engine or root.
  doCheck = false;
  cargoTestFlags = [ "--lib" ];

  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    $out/bin/sdbuild man --dir man
    installManPage man/*.1
    installShellCompletion --cmd sdbuild \
      --bash <($out/bin/sdbuild completions bash) \
      --zsh <($out/bin/sdbuild completions zsh) \
      --fish <($out/bin/sdbuild completions fish)
  '';

  meta = {
    inherit ((lib.importTOML ../../Cargo.toml).package) description;
    homepage = (lib.importTOML ../../Cargo.toml).workspace.package.repository;
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "sdbuild";
    platforms = lib.platforms.linux;
  };
}
