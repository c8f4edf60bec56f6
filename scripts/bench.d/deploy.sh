# A changed host name on a board that runs, in QEMU: `sdbuild deploy` to a confirmed system, against nixos-rebuild on the board and
# against a new image that is built, written and started; the second deployment of the same system; memory. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # variables of scripts/bench

board=
port=2299

# Starts the board of the disk $1 and waits until it calls itself $2.
start_board() {
  stop_board
  setpriv --pdeathsig KILL qemu-system-aarch64 -nodefaults -display none -M virt -cpu max,pauth-impdef=on -smp 1 -m 1024 \
    -bios /usr/lib/u-boot/qemu_arm64/u-boot.bin -drive "file=$1,format=qcow2,if=virtio" \
    -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net,romfile= &
  board=$!
  until [ "$(on_board hostname 2>/dev/null)" = "$2" ]; do
    kill -0 $board || die "the board has ended"
    sleep 0.2
  done
}
stop_board() {
  [ -n "$board" ] || return 0
  kill "$board" || :
  wait "$board" 2>/dev/null || :
  board=
}
on_board() { "$work/deploy/bin/ssh" -p $port root@127.0.0.1 "$@"; }

# Builds the disk of the board that calls itself $1; prints its path.
board_disk() {
  sed "s/\"first\"/\"$1\"/" "$work/deploy/sd-card.nix" >"$work/deploy/$1.nix"
  "$sdbuild" build --quiet --config "$work/deploy/$1.nix" --nixpkgs "$SDBUILD_MINI_NIXPKGS" --substituters '' \
    --output "$work/deploy/out" --force --emulation "$emulation" </dev/null
}
deploy_as() {
  sed "s/\"first\"/\"$1\"/" "$work/deploy/sd-card.nix" >"$work/deploy/$1.nix"
  PATH=$work/deploy/bin:$PATH command time -o "$work/deploy/memory" -f %M "$sdbuild" deploy --yes --no-substitute \
    --nixpkgs "$SDBUILD_MINI_NIXPKGS" --emulation "$emulation" "$work/deploy/$1.nix" "ssh://root@127.0.0.1:$port" </dev/null 2>"$work/deploy/said"
}
rebuild_as() {
  sed "s/\"first\"/\"$1\"/" "$work/deploy/sd-card.nix" | on_board 'mkdir -p /etc/nixos && cat >/etc/nixos/configuration.nix'
  on_board "nixos-rebuild switch -I nixpkgs=/root/mini-nixpkgs --option substituters ''" 2>"$work/deploy/said"
}
# A new card: built, written with what a flash writes, and started until it lets in.
anew() {
  local disk
  disk=$(board_disk "$1")
  dd if="$disk" of="$work/deploy/card" bs=4M conv=fsync status=none
  start_board "$work/deploy/card" "$1"
}

deploy() {
  local round disk
  rm -rf "$work/deploy" && mkdir -p "$work/deploy/bin"
  ssh-keygen -q -t ed25519 -N '' -f "$work/deploy/key"
  printf '#!/bin/sh\nexec /usr/bin/ssh -i %s -F none -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"\n' \
    "'$work/deploy/key'" >"$work/deploy/bin/ssh"
  chmod +x "$work/deploy/bin/ssh"
  (cd "$work/deploy" && "$sdbuild" init --quiet --template vm --hostname first --ssh-key "$work/deploy/key.pub" </dev/null >&2)
  sed -i 's/^  system.stateVersion/  nix.enable = true;\n  boot.loader.timeout = 0;\n&/' "$work/deploy/sd-card.nix"
  for round in $(seq "$rounds"); do
    timed anew "anew$round"
    echo "$elapsed" >>"$work/deploy/anew"
  done
  disk=$(board_disk first)
  qemu-img resize -q "$disk" 1200M
  start_board "$disk" first
  tar -C "$root/tests" -c mini-nixpkgs | on_board tar -C /root -x
  for round in $(seq "$rounds"); do
    timed deploy_as "ours$round"
    echo "$elapsed" >>"$work/deploy/ours"
    say "deploy, round $round: $(grep 'to copy' "$work/deploy/said"); $(($(cat "$work/deploy/memory") / 1024)) MiB here"
    timed deploy_as "ours$round"
    echo "$elapsed" >>"$work/deploy/again"
    timed rebuild_as "theirs$round"
    echo "$elapsed" >>"$work/deploy/theirs"
  done
  stop_board
  record "a changed host name on a board, against nixos-rebuild there, s" "$(in_seconds "$(median <"$work/deploy/ours")")" \
    "$(in_seconds "$(median <"$work/deploy/theirs")")" ratio ""
  record "the same, against a new image that is built, written and started, s" "$(in_seconds "$(median <"$work/deploy/ours")")" \
    "$(in_seconds "$(median <"$work/deploy/anew")")" ratio ""
  record "deploy, nothing changed, with the build, s" "$(in_seconds "$(median <"$work/deploy/again")")" "" most ""
  record "deploy, sdbuild's peak memory, MiB" "$(($(cat "$work/deploy/memory") / 1024))" "" most 200
}
