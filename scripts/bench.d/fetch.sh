# Store paths out of a binary cache, against unpacking the same archives alone. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # variables of scripts/bench

# Packages of NixOS are of all sizes: 2,000 of 1.5 MB are 3 GB, and some 1.6 GB packed.
fetched_paths=2000

fetch() {
  local round packed
  build >/dev/null
  builder=$(builder_image)
  [ -e "$work/fetch/cache/paths" ] || make_cache
  cp "$work/fetch/cache/paths" "$work/config/paths"
  serve "$work/fetch/cache"
  for round in $(seq "$rounds"); do
    empty_store
    shell_in_store true
    # shellcheck disable=SC2016  # of the shell in the builder
    shell_in_store 'date +%s%N && nix-store --realise $(cat paths) >/dev/null 2>&1 && date +%s%N' |
      awk '{ at[NR] = $1 } END { printf "%.3f\n", (at[2] - at[1]) / 1e9 }' >>"$work/fetch/ours"
    timed unpack_cache
    in_seconds "$elapsed" >>"$work/fetch/theirs"
    say "fetch, round $round: $(tail -qn 1 "$work"/fetch/ours "$work"/fetch/theirs | tr '\n' ' ')s"
  done
  kill "$server"
  server=
  packed=$(du -sm "$work/fetch/cache/nar" | cut -f1)
  # Within 1.3 times what unpacking takes: that is 0.77 of ours at least.
  record "$fetched_paths store paths, $packed MB packed, against unpacking them, s" \
    "$(median <"$work/fetch/ours")" "$(median <"$work/fetch/theirs")" ratio 0.77
  rm -rf "$work/fetch"
}

# A command in the builder, with the cache.
shell_in_store() {
  "$sdbuild" shell --quiet --config "$work/config/sd-card.nix" --nixpkgs "$SDBUILD_MINI_NIXPKGS" --emulation "$emulation" \
    --substituters "$url" --trusted-public-keys "$(cat "$work/fetch/cache/key")" --run "$1" </dev/null
}

# All archives on all cores, into one file for each core.
unpack_cache() {
  local out=(--volume "$store:/out")
  empty_store
  [ -z "$ram" ] || out=(--tmpfs /out:size=8g)
  # shellcheck disable=SC2016  # of the shell in the container
  docker run --rm --user 0 --network none --volume "$work/fetch/cache:/cache:ro" "${out[@]}" --entrypoint sh "$builder" -euc '
    find /cache/nar -name "*.xz" | xargs -P "$(nproc)" -n 250 sh -c '\''xz --decompress --stdout "$@" >/out/$$'\'' sh'
}

# A signed cache of directories with 40 files each, half of their bytes random.
make_cache() {
  rm -rf "$work/fetch"
  mkdir -p "$work/fetch/trees" "$work/fetch/cache"
  chmod 777 "$work/fetch/cache"
  perl -e '
    my ($dir, $count) = @ARGV;
    open my $random, "<", "/dev/urandom" or die;
    for my $path (1 .. $count) {
      my $tree = sprintf "%s/package-%04d", $dir, $path;
      mkdir $tree or die "$tree: $!";
      for my $file (1 .. 40) {
        my $content;
        if ($file % 2) { read $random, $content, 38_000 }
        else { $content = join "", map { "line $_ of file $file in package $path\n" } 1 .. 1_000 }
        open my $out, ">", "$tree/$file" or die "$tree: $!";
        print {$out} $content;
      }
    }' "$work/fetch/trees" "$fetched_paths"
  docker run --rm --user 0 --network none --tmpfs /nix:exec,size=8g --volume "$work/fetch/trees:/trees:ro" \
    --volume "$work/fetch/cache:/cache" --env HOME=/tmp --entrypoint sh "$builder" -euc '
    export NIX_CONFIG="build-users-group =
experimental-features = nix-command"
    nix key generate-secret --key-name bench-1 >/tmp/key
    nix key convert-secret-to-public </tmp/key >/cache/key
    nix-store --add /trees/* >/tmp/paths
    nix copy --quiet --to "file:///cache?secret-key=/tmp/key&compression=xz&compression-level=1&parallel-compression=true" $(cat /tmp/paths)
    cp /tmp/paths /cache/paths' || die "the cache cannot be made"
  rm -rf "$work/fetch/trees"
}
