# The configuration that `sdbuild init` writes for each board, evaluated on a real nixpkgs. Sourced by scripts/real-nixpkgs.
# shellcheck shell=bash disable=SC2154  # variables of scripts/real-nixpkgs

# Evaluates them. A board that needs nixos-hardware takes it from the checkout
# SDBUILD_NIXOS_HARDWARE, because nothing is downloaded here.
evaluate_boards() {
  local hardware=${SDBUILD_NIXOS_HARDWARE:-} files name mounts=()
  files=$(mktemp -d)
  trap 'rm -rf "$files"' RETURN
  ssh-keygen -q -t ed25519 -N '' -C board -f "$files/key"
  mkdir "$files/boards"
  for name in $("$sdbuild" boards --json | jq --raw-output '.boards[].name'); do
    "$sdbuild" init "$files/boards/$name" --board "$name" --ssh-key "$files/key.pub" --yes >/dev/null 2>"$files/refused" || {
      grep -q 'SD card image does not boot' "$files/refused" || die "init --board $name: $(cat "$files/refused")"
      rm -rf "${files:?}/boards/$name"
      continue
    }
    grep -q fetchTarball "$files/boards/$name/sd-card.nix" || continue
    if [ -z "$hardware" ]; then
      say "SKIPPED: $name needs a checkout of nixos-hardware: SDBUILD_NIXOS_HARDWARE=DIR"
      rm -rf "${files:?}/boards/$name"
    else
      mounts=(--volume "$(cd "$hardware" && pwd):/nixos-hardware:ro")
      sed -i '/(builtins.fetchTarball {/,/} + /c\    /nixos-hardware/raspberry-pi/5' "$files/boards/$name/sd-card.nix"
    fi
  done
  chmod -R go+rX "$files"
  evaluator --volume "$files/boards:/boards:ro" "${mounts[@]}" "$image" sh /configurations/boards
}
