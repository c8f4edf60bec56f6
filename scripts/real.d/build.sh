# Builds the images in both ways, compares them, and tells what it took. Sourced by scripts/real-nixpkgs.
# shellcheck shell=bash disable=SC2154  # root, target, work, checkout, image, url and mounts come from the other parts

# sdbuild with the subcommand `build`, as a user without any settings. $1: the store, $2: the configuration.
sdbuild_real() {
  local store=$1 configuration=$2
  shift 2
  mkdir -p "$work/out/$store"
  volume "$store" >/dev/null
  SDBUILD_STORE=sdbuild-store-real-$store XDG_STATE_HOME=$work/state \
    "$sdbuild" build --config "$work/config/$configuration.nix" --nixpkgs "$checkout" --builder-image "$image" \
    --output "$work/out/$store" --compress none "$@"
}

# The configurations, where sdbuild uploads them from.
configurations() {
  rm -rf "$work/config"
  mkdir -p "$work/config"
  cp "$root/tests/real-nixpkgs"/*.nix "$work/config/"
  "$root/tests/real-nixpkgs/idioms" "$root/tests/docker/glue" "$work/config"
}

# Builds the configuration $2 in the way $1, in the store of that way; $3 says what there is to do, $4… are more flags. Leaves
# the image's path in `built`, and a line in $work/figures.
build() {
  local way=$1 configuration=$2 what=$3 events before after
  shift 3
  mkdir -p "$work/events"
  events=$work/events/$configuration-${what// /-}-$way
  before=$(containers_time)
  timed build_events "$way" "$configuration" "$events" "$@"
  after=$(containers_time)
  built=$(cat "$events.path")
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$configuration" "$what" "$way" "$(in_seconds "$elapsed")" "$(in_seconds $((after - before)))" \
    "$(jq -rs -f "$root/tests/real-nixpkgs/figures.jq" "$events.json")" >>"$work/figures"
  say "$(tail -n 1 "$work/figures")"
}
build_events() {
  local way=$1 configuration=$2 events=$3
  shift 3
  sdbuild_real "$way" "$configuration" --glue "$way" --substituters "$url" --trusted-public-keys "$(cat "$work/served/key")" \
    --json-events "$@" >"$events.path" 2>"$events.json" ||
    die "$configuration, $way: $(jq -r 'select(.event == "failed") | .message, .log_tail[]?' "$events.json")"
}

# Builds a configuration in both ways and compares. $2: what there is to do, $3…: more flags. Leaves the path of the native
# image in `native`.
both_ways() {
  local configuration=$1 what=$2 said
  shift 2
  build native "$configuration" "$what" "$@"
  native=$built
  build emulated "$configuration" "$what" "$@"
  said=$("$root/tests/real-nixpkgs/compare" "$native" "$built" "$work/compared" "$work/image" 2>&1) || differ="$differ; $configuration, $what"
  say "$configuration, $what: $said"
  [ "$(inspected "$native")" = "$(inspected "$built")" ] || differ="$differ; inspect of $configuration, $what"
}

# Builds the configuration $1 natively once more, from an empty store: the image must have the bytes of `native`.
twice() {
  local before=$work/out/before
  mv "$native" "$before"
  # What describes the image would be anybody's without it.
  rm -f "$native".*
  forget_store native
  build native "$1" "all, once more"
  cmp "$before" "$built" >&2 || differ="$differ; $1, natively built twice"
  rm -f "$before"
}

# What `inspect` says of what is in an image, without hashes of the store.
inspected() { "$sdbuild" inspect "$1" 2>/dev/null | sed -n '/^table/,$p' | sed 's,[0-9a-z]\{32\}-,,g'; }

# Builds all configurations in both ways; `base` also natively once more, with another host name, and with nothing changed.
build_real() {
  local name differ=''
  trap finish EXIT
  configurations
  debian_packages
  container_image
  # A run that was killed may have left them.
  for name in native emulated plan; do forget_store "$name"; done
  cache "$@"
  serve "$work/served"
  rm -f "$work/figures"
  for name; do
    both_ways "$name" "all that is new"
    if [ "$name" = base ]; then
      twice "$name"
      both_ways "$name" "host name" --hostname kitchen
      build native "$name" "nothing" --hostname kitchen
    fi
    rm -rf "$work/out"
  done
  {
    printf 'configuration\tchanged\tglue\twhole s\tprocessor s\tphase of Nix s\tbuilt\tforecast\temulated\tfetched\n'
    cat "$work/figures"
  } | column -t -s "$(printf '\t')"
  [ -z "$differ" ] || die "the images differ${differ/;/:}"
}

# Ends everything that runs, and removes the stores and, unless it is to be kept, everything else.
finish() {
  local store process
  for process in $(descendants $$); do
    kill "$process" 2>/dev/null || continue
    # sdbuild removes its containers.
    timeout 20 tail --follow --pid="$process" /dev/null || true
  done
  for store in native emulated plan made; do
    [ -z "$image" ] || forget_store "$store"
  done
  [ -n "${SDBUILD_REAL_DIR:-}" ] || rm -rf "$work"
}

# Prints the processes that the process $1 has started, and that these have started.
descendants() {
  local process
  for process in $(pgrep -P "$1"); do
    printf '%s\n' "$process"
    descendants "$process"
  done
}
