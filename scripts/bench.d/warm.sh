# What sdbuild adds to Nix: start, end, and its own processor time. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # variables of scripts/bench

# A build with nothing changed, against the same nix-build in a container that runs already and has all that sdbuild's
# own builder has.
warm() {
  local round
  build >/dev/null
  container=$(docker run --detach --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges \
    --volume "$store:/nix" --env SDBUILD_DEBIAN_MIRROR=http://localhost \
    --env NIX_CONFIG=$'build-users-group =\nsandbox = false\nextra-platforms = aarch64-linux\nsubstituters =' \
    "$(builder_image)" sleep infinity)
  docker cp "$work/config" "$container:/tmp/config" >/dev/null
  docker cp "$SDBUILD_MINI_NIXPKGS" "$container:/tmp/nixpkgs" >/dev/null
  # The emulated derivation: what both find finished.
  build --glue emulated >/dev/null
  rm -f "$work"/warm-*
  for round in $(seq "$rounds"); do
    milliseconds build >>"$work/warm-ours"
    milliseconds rebuild >>"$work/warm-again"
    milliseconds docker exec "$container" nix-build '<nixpkgs/nixos>' -A config.system.build.sdImage \
      -I nixpkgs=/tmp/nixpkgs -I nixos-config=/tmp/config/wrapped.nix --argstr system aarch64-linux --no-out-link >>"$work/warm-theirs"
    say "warm, round $round: $(tail -qn 1 "$work"/warm-ours "$work"/warm-again "$work"/warm-theirs | tr '\n' ' ')ms"
  done
  finish_container
  record "rebuild, nothing changed, s" "$(in_seconds "$(median <"$work/warm-again")")" \
    "$(in_seconds "$(median <"$work/warm-theirs")")" beyond 2
  record "the same, and the image written again, s" "$(in_seconds "$(median <"$work/warm-ours")")" \
    "$(in_seconds "$(median <"$work/warm-theirs")")" beyond 2
}

# From sdbuild's start to the first thing that Nix says, after a small change, with everything cached.
start() {
  local round at
  build >/dev/null
  rm -f "$work/start"
  for round in $(seq "$rounds"); do
    configuration 0 "environment.etc.start.text = \"$stamp $round\";"
    build_events -v >"$work/events"
    at=$(jq -n 'first(inputs | select(.event | IN("nix-message", "will-build", "build-started"))).at' "$work/events")
    echo "$at" >>"$work/start"
  done
  configuration 0
  say "start: $(tr '\n' ' ' <"$work/start")s"
  record "start to Nix's first line, s" "$(median <"$work/start")" "" most 1.5
}

# sdbuild's processor time in a whole build from an empty store, without and with compression, of all that it and the
# containers take.
share() {
  local round compress
  rm -f "$work"/share-*
  for round in $(seq "$rounds"); do
    for compress in none zstd; do
      empty_store
      accounted --compress $compress
      echo "$own $all" >>"$work/share-$compress"
    done
    say "share, round $round: own and all processor seconds: $(tail -qn 1 "$work"/share-* | tr '\n' ';')"
  done
  record_shares share ""
}

# A whole build with the flags $@: how long it took in `elapsed`, sdbuild's own processor seconds in `own`, in `all`
# with those of the containers.
accounted() {
  local before
  before=$(containers_time)
  timed command time -o "$work/time" -f '%U %S' "$sdbuild" build --quiet --config "$work/config/sd-card.nix" \
    --emulation "$emulation" --nixpkgs "$SDBUILD_MINI_NIXPKGS" --substituters '' --output "$work/out" --force "$@" </dev/null
  own=$(awk '{ print $1 + $2 }' "$work/time")
  all=$(awk -v own="$own" -v spent=$(($(containers_time) - before)) 'BEGIN { print own + spent / 1000 }')
}
# What is in the files $1-none and $1-zstd, as lines of own and all processor seconds; $2 is said along.
record_shares() {
  local compress
  for compress in none zstd; do
    record "sdbuild's own CPU s of all${2:-}, compression: $compress" "$(cut -d' ' -f1 "$work/$1-$compress" | median)" \
      "$(cut -d' ' -f2 "$work/$1-$compress" | median)" share 1
  done
}
