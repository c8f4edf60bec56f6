# The whole build of an image that is 1 GiB larger, from an empty store, against the flow of the tool that came before:
# a container for the handler, a container image made by `docker build`, nix-build in it with one job, everything
# emulated, the image compressed by the build, and `cp` out of the container. Rebuilt in shell after that tool's README;
# it is given Debian's current QEMU (10.0), and its container images are there already. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # variables of scripts/bench

whole() {
  local round
  [ "$emulation" != private ] || { say "whole: left out, it registers a handler" && return; }
  build >/dev/null
  old_qemu
  rm -f "$work"/whole-*
  for round in $(seq "$rounds"); do
    configuration 1024
    empty_store
    in_seconds "$(milliseconds build)" >>"$work/whole-ours"
    empty_store
    in_seconds "$(milliseconds original)" >>"$work/whole-theirs"
    say "whole, round $round: $(tail -qn 1 "$work"/whole-ours "$work"/whole-theirs | tr '\n' ' ')s"
  done
  configuration 0
  record "whole build, 1 GiB added, empty store, s" "$(median <"$work/whole-ours")" "$(median <"$work/whole-theirs")" ratio 3
}

original() {
  local result
  with_old trixie
  container=$(docker run --detach --user 1000:1000 --volume "$store:/nix" --env HOME=/tmp --env NIX_REMOTE=local \
    --env "SDBUILD_DEBIAN_MIRROR=$(mirrors | head -n 1)" --env NIX_CONFIG=$'build-users-group =\nextra-platforms = aarch64-linux\nsubstituters =' \
    "$(builder_image)" sleep infinity)
  docker cp "$work/config" "$container:/tmp/config" >/dev/null
  docker cp "$SDBUILD_MINI_NIXPKGS" "$container:/tmp/nixpkgs" >/dev/null
  result=$(docker exec "$container" nix-build '<nixpkgs/nixos>' -A config.system.build.sdImage --option system aarch64-linux \
    --option sandbox false -I nixpkgs=/tmp/nixpkgs -I nixos-config=/tmp/config/compressed.nix --argstr system aarch64-linux \
    --no-out-link 2>"$work/original.log") || die "see $work/original.log"
  docker cp "$container:$result/sd-image" "$work/original" >/dev/null
  rm -rf "$work/original"
  forget_old
  finish_container
}
