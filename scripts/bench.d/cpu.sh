# The emulators themselves: programs without and with pointer authentication (Debian 12's and 13's arm64 builds) under
# the pinned QEMU and under those of Debian 12 and 13, in processor seconds. Needs a kernel that gives every user
# namespace a table of handlers of its own (6.7), and touches nobody else's. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # root, work and rounds come from scripts/bench

emulated_programs=(busybox-static bash coreutils zstd xz-utils perl-base python3-minimal e2fsprogs gcc libc6-dev)

# The program qemu-aarch64 of every emulator, and a root of either Debian with the programs.
cpu_prepare() {
  local suite
  old_qemu
  [ -x "$work/qemu/pinned" ] || pinned_qemu
  for suite in bookworm trixie; do
    [ -e "$work/arm64/$suite/complete" ] && continue
    from_debian "$suite" arm64 all "$work/arm64/$suite" "${emulated_programs[@]}"
    cpu_material "$work/arm64/$suite" && touch "$work/arm64/$suite/complete"
  done
}

# The emulator that sdbuild uses, out of its package: place and hashes as the lock says.
pinned_qemu() {
  local lock=${SDBUILD_LOCKS:-$root/containers}/registrar/amd64.lock.json package inside
  read -r -a package < <(jq -r '.packages[] | select(.name == "qemu-user") | "\(.path) \(.sha256)"' "$lock")
  inside=$(jq -r '.contents[] | select(.package == "qemu-user").sha256' "$lock")
  locked_package "${package[@]}" >"$work/qemu/package"
  dpkg-deb --fsys-tarfile "$work/qemu/package" | tar -xO ./usr/bin/qemu-aarch64 >"$work/qemu/pinned"
  rm "$work/qemu/package"
  [ "$(sha256sum <"$work/qemu/pinned" | cut -d' ' -f1)" = "$inside" ] || die "the emulator's hash is not the lock's"
  chmod +x "$work/qemu/pinned"
}

# What the programs work on, the same for both.
cpu_material() {
  local directory=$1/work
  mkdir -p "$directory/tree" "$1/tmp" "$1/dev"
  openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c $((48 << 20)) >"$directory/random" || true
  # What can be compressed as programs can: the programs themselves.
  cat "$1"/usr/bin/* 2>/dev/null | head -c $((16 << 20)) >"$directory/data" || true
  cp -r "$1/usr/bin" "$directory/tree/"
  {
    echo 'static unsigned a[4096];'
    for n in $(seq 40); do
      echo "unsigned f$n(unsigned x) { unsigned s = $n; for (unsigned i = 0; i < 64; i++) { s = s * 31 + (a[(s ^ x) & 4095] >> (i & 7)); a[s & 4095] ^= x; } return s; }"
    done
  } >"$directory/source.c"
}

# Name and command of each task; what it prints must not depend on the emulator.
cpu_tasks() {
  cat <<'TASKS'
shell	busybox sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done; echo $i'
md5	busybox md5sum /work/random
sha256	sha256sum /work/random
zstd	zstd -q -9 --single-thread -c /work/data | sha256sum
xz	busybox head -c 4194304 /work/data | xz -3 -c | sha256sum
gcc	gcc -O2 -S -o - /work/source.c | sha256sum
mke2fs	rm -f /tmp/fs; mke2fs -q -t ext4 -E hash_seed=44444444-4444-4444-8888-888888888888 -U 44444444-4444-4444-8888-888888888888 -d /work/tree /tmp/fs 128M && echo made
perl	for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do perl -e 'print 1'; done
python	for n in 1 2 3 4 5 6; do python3 -c 'print(1)'; done
start	for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do /bin/true; done; echo done
TASKS
}

# Runs the suite of the root $2 under the emulator $1: lines of name, processor seconds and hash of what was printed.
# In a user namespace with a table of its own: nothing outside sees the handler, and it goes with the namespace.
cpu_suite() {
  local name command
  cpu_tasks | while IFS=$'\t' read -r name command; do
    printf '%s\n' "$command" >"$work/arm64/$2/work/$name.sh"
    echo "$name"
  done >"$work/arm64/$2/work/names"
  env -i PATH="$PATH" LC_ALL=C unshare --user --map-root-user --mount bash "$root/scripts/bench.d/emulated" \
    "$work/qemu/$1" "$work/arm64/$2"
}

cpu() {
  local round qemu suite
  cpu_prepare
  rm -f "$work"/cpu-*.txt
  for round in $(seq "$rounds"); do
    for suite in bookworm trixie; do
      for qemu in pinned bookworm trixie; do
        cpu_suite $qemu $suite >>"$work/cpu-$suite-$qemu.txt"
        say "cpu: $suite programs under $qemu, round $round: $(tail -n "$(cpu_tasks | wc -l)" "$work/cpu-$suite-$qemu.txt" | awk '{ s += $2 } END { print s }') s"
      done
    done
  done
  for suite in bookworm trixie; do
    cpu_compare $suite
  done
  cpu_correct
}

# Medians of every task, then geometric means of them over the tasks.
cpu_compare() {
  local qemu what="programs without PAC" goals=("bookworm:" "trixie:")
  [ "$1" = bookworm ] || what="programs with PAC" goals=("bookworm:2.2" "trixie:1.1")
  local -A mean release=([bookworm]="QEMU 7.2" [trixie]="QEMU 10.0")
  for qemu in pinned bookworm trixie; do
    mean[$qemu]=$(cpu_medians "$1" $qemu | awk '{ s += log($2); n++ } END { printf "%.3f", exp(s / n) }')
  done
  say "$(join -j1 <(cpu_medians "$1" pinned) <(cpu_medians "$1" bookworm) | join -j1 - <(cpu_medians "$1" trixie) |
    { echo "$what pinned 7.2 10.0"; cat; } | sed 's/ \(p[a-z]* [0-9]\)/ \1/' | column -t)"
  for goal in "${goals[@]}"; do
    qemu=${goal%%:*}
    record "$what, CPU s, ${release[$qemu]}" "${mean[pinned]}" "${mean[$qemu]}" ratio "${goal#*:}"
  done
}
cpu_medians() {
  local name
  cpu_tasks | cut -f1 | sort | while read -r name; do
    echo "$name $(awk -v n="$name" '$1 == n { print $2 }' "$work/cpu-$1-$2.txt" | median)"
  done
}

# Every emulator must give the same; and the pinned one must know openat2 with the flags of aarch64, by which a newer
# GNU tar unpacks.
cpu_correct() {
  local suite different=0
  for suite in bookworm trixie; do
    different=$((different + $(cat "$work"/cpu-$suite-*.txt | awk '{ print $1, $3 }' | sort -u | wc -l) - $(cpu_tasks | wc -l)))
  done
  record "tasks whose output depends on the emulator" $different "" most 0
  record "openat2 wrong (pinned)" "$(cpu_openat2 pinned)" "" most 0
  say "openat2: QEMU 7.2 wrong in $(cpu_openat2 bookworm), 10.0 in $(cpu_openat2 trixie) cases (an honest refusal is not wrong)"
}
# How many of the cases go wrong under the emulator $1.
cpu_openat2() {
  cp "$root/scripts/bench.d/openat2.pl" "$work/arm64/trixie/work/openat2.sh.pl"
  echo 'perl /work/openat2.sh.pl' >"$work/arm64/trixie/work/openat2.sh"
  echo openat2 >"$work/arm64/trixie/work/names"
  env -i PATH="$PATH" LC_ALL=C unshare --user --map-root-user --mount bash "$root/scripts/bench.d/emulated" --show \
    "$work/qemu/$1" "$work/arm64/trixie" | tail -n 1
}
