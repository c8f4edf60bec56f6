# The derivations of the images, and the signed binary cache with stand-ins for what they take from packages. Sourced by
# scripts/real-nixpkgs.
# shellcheck shell=bash disable=SC2154  # root, work, checkout and image come from scripts/real-nixpkgs

# Prints the name of the volume of a store. With SDBUILD_REAL_DIR it lies there: that may be memory.
volume() {
  local name
  name=sdbuild-store-real-$1-$(docker image inspect --format '{{.Id}}' "$image" | sed 's/^sha256://' | cut -c1-12)
  if [ -n "${SDBUILD_REAL_DIR:-}" ] && ! docker volume inspect "$name" >/dev/null 2>&1; then
    mkdir -p "$work/volumes/$1"
    docker volume create --opt type=none --opt o=bind --opt "device=$work/volumes/$1" --label dev.sdbuild.version=real \
      --label dev.sdbuild.role=store --label dev.sdbuild.run=000000000000 "$name" >/dev/null
  fi
  printf '%s\n' "$name"
}

# Removes a store, and the containers that use it: a run that was killed may have left some.
forget_store() {
  local name
  name=$(volume "$1")
  docker ps --all --quiet --filter "volume=$name" | xargs -r docker rm --force >/dev/null
  docker volume rm --force "$name" >/dev/null
  rm -rf "$work/volumes/$1"
}

# Runs the command $2… of Nix in the store $1, with more arguments for the container in `mounts`.
nix_in() {
  local store
  store=$(volume "$1")
  shift
  docker run --rm --network none --cap-drop ALL --volume "$store:/nix" "${mounts[@]}" --env NIX_REMOTE=local --env HOME=/tmp \
    --env NIX_CONFIG=$'build-users-group =\nsandbox = false\nsubstituters =\nexperimental-features = nix-command' "$image" "$@"
}

# Writes the derivations of the configuration $1 built in the way $2 as JSON, and prints the file's name.
graph() {
  local drv file
  drv=$(sdbuild_real plan "$1" --substituters '' --glue "$2" --dry-run | sed -n 's/^derivation  *//p')
  [ -n "$drv" ] || die "$1 does not evaluate"
  file=$work/graph/$(basename "$drv" .drv).json
  if [ ! -e "$file" ]; then
    mounts=()
    nix_in plan nix derivation show --recursive "$drv" >"$file.new" && mv "$file.new" "$file"
  fi
  printf '%s\n' "$file"
}

# Makes the signed cache with all stand-ins for the configurations $@ in $work/served, unless it is there.
cache() {
  local name way made_of last=other large=() graphs=()
  mkdir -p "$work/graph"
  case " $* " in
    *' large'*) last=other-large large=(--large) ;;
  esac
  # The last is never built: it tells what a binary cache can have.
  for name in "$@" "$last"; do
    for way in native emulated; do
      graphs+=("$(graph "$name" "$way")") || return
    done
  done
  made_of=$(printf '%s\n' "${large[@]}" "${graphs[@]}" && cat "$root"/{tests/real-nixpkgs/stand_ins/*.py,scripts/real.d/packages.sh} | sha256sum)
  [ "$(cat "$work/served/made-of" 2>/dev/null)" != "$made_of" ] || return 0
  rm -rf "$work/made" "$work/served"
  python3 -B "$root/tests/real-nixpkgs/stand_ins" "${large[@]}" "$work/made" "$work/debian" "${graphs[@]}" || die "the stand-ins cannot be made"
  sign_and_pack
  printf '%s\n' "$made_of" >"$work/served/made-of"
}

# Makes the binary cache of the store paths in $work/made, by Nix itself.
sign_and_pack() {
  mkdir -p "$work/served"
  chmod 777 "$work/served"
  forget_store made
  mounts=(--volume "$work/made:/made:ro" --volume "$work/served:/served")
  # shellcheck disable=SC2016  # of the shell in the container
  nix_in made sh -euc '
    cp -R /made/store/. /nix/store/
    nix-store --register-validity </made/registration
    nix key generate-secret --key-name real-1 >/tmp/key
    nix key convert-secret-to-public </tmp/key >/served/key
    nix copy --all --to "file:///served?secret-key=/tmp/key&compression=zstd&parallel-compression=true"
    echo "WantMassQuery: 1" >>/served/nix-cache-info' || die "the cache cannot be made"
  forget_store made
}
