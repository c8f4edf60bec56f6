# The whole build of an image that is 1 GiB larger, from an empty store, against the flow of the tool that came before:
# a container for the handler, a container image made by `docker build`, nix-build in it with one job, everything
# emulated, the image compressed by the build, and `cp` out of the container. Rebuilt in shell after that tool's README;
# it is given Debian's current QEMU (10.0), and its container images are there already. It leaves a compressed image, so
# that is what ours is compared by; without compression ours is told as well. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # variables of scripts/bench

whole() {
  local round compress
  [ "$emulation" != private ] || { say "whole: left out, it registers a handler" && return; }
  build >/dev/null
  image=$(builder_image)
  old_qemu
  rm -f "$work"/whole-*
  configuration 1024
  for round in $(seq "$rounds"); do
    for compress in none zstd; do
      empty_store
      accounted --compress $compress
      in_seconds "$elapsed" >>"$work/whole-$compress"
      echo "$own $all" >>"$work/whole-share-$compress"
    done
    empty_store
    timed original
    in_seconds "$elapsed" >>"$work/whole-theirs"
    say "whole, round $round: uncompressed, compressed, theirs: $(tail -qn 1 "$work"/whole-none "$work"/whole-zstd "$work"/whole-theirs | tr "\n" " ")s"
  done
  configuration 0
  record "whole build, 1 GiB added, empty store, compressed, s" "$(median <"$work/whole-zstd")" "$(median <"$work/whole-theirs")" ratio 3
  record "the same, ours without compression, s" "$(median <"$work/whole-none")" "$(median <"$work/whole-theirs")" ratio ""
  record_shares whole-share ", 1 GiB added"
}

original() {
  local result
  with_old trixie
  container=$(docker run --detach --user 1000:1000 --volume "$store:/nix" --env HOME=/tmp --env NIX_REMOTE=local \
    --env "SDBUILD_DEBIAN_MIRROR=$(mirrors | head -n 1)" --env NIX_CONFIG=$'build-users-group =\nextra-platforms = aarch64-linux\nsubstituters =' \
    "$image" sleep infinity)
  docker cp "$work/config" "$container:/tmp/config" >/dev/null
  docker cp "$SDBUILD_MINI_NIXPKGS" "$container:/tmp/nixpkgs" >/dev/null
  result=$(docker exec "$container" nix-build '<nixpkgs/nixos>' -A config.system.build.sdImage --option system aarch64-linux \
    --option sandbox false -I nixpkgs=/tmp/nixpkgs -I nixos-config=/tmp/config/compressed.nix --argstr system aarch64-linux \
    --no-out-link 2>"$work/original.log") || die "see $work/original.log"
  rm -rf "$work/original"
  docker cp "$container:$result/sd-image" "$work/original" >/dev/null
  # The gigabyte is random, and a compressed image of less is none.
  [ "$(du -sm "$work/original" | cut -f1)" -gt 1000 ] || die "the other flow left no image: see $work/original.log"
  rm -rf "$work/original"
  forget_old
  finish_container
}
