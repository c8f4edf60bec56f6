# What is built on the user's machine, natively and under emulation: by the pinned QEMU, and by Debian 12's, which
# `--emulation host` finds in the kernel's table. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # variables of scripts/bench

old_handler=bench-aarch64-$$

# The emulator of the Debian called $1 as the newest handler of the machine; forget_old removes it.
with_old() {
  # shellcheck disable=SC2028  # the kernel undoes the escapes
  echo ":$old_handler:M::\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:$work/qemu/$1:PF" >/proc/sys/fs/binfmt_misc/register
}
forget_old() { [ ! -e /proc/sys/fs/binfmt_misc/$old_handler ] || echo -1 >/proc/sys/fs/binfmt_misc/$old_handler; }

# Seconds of the phase in which Nix builds, of processor time in containers, and of the whole run.
# $1: native, emulated or old.
nix_phase() {
  # What build_events finds in the place of the benchmark's own.
  local flags=(--glue emulated) emulation=$emulation before after
  case $1 in
    native) flags=(--glue native) ;;
    old) emulation=host && with_old bookworm ;;
  esac
  before=$(containers_time)
  timed events_of "${flags[@]}"
  after=$(containers_time)
  forget_old
  echo "$(jq 'select(.event == "phase-ended" and .phase == "build").seconds' "$work/events") $(in_seconds $((after - before))) $(in_seconds "$elapsed")"
}
events_of() { build_events "$@" >"$work/events" || die "$(jq -r 'select(.event == "failed").message' "$work/events")"; }

# Takes finished images out of the store: large ones, one of each round and way, would fill it. Nothing is made of them.
forget_images() {
  # shellcheck disable=SC2016  # for the shell in there
  docker run --rm --user 1000:1000 --network none --volume "$store:/nix" --env NIX_REMOTE=local --entrypoint sh "$(builder_image)" -c '
    for path in /nix/store/*-ext4-fs.img* /nix/store/*-linux.img*; do
      case $path in *.drv | *.lock) ;; *) [ ! -e "$path" ] || nix-store --delete --ignore-liveness "$path" ;; esac
    done' >/dev/null 2>&1 || die "the store keeps its images"
}

# Compares the ways, alternating. $1 the name, $2 the payload in MiB, $3 a command that prints what round $1 of way $2
# changes, $4… way:goal.
compare() {
  local name=$1 payload=$2 change=$3 round way goal
  shift 3
  # That one needs the machine's own table.
  [ "$emulation" != private ] || set -- "${@:1:1}"
  rm -f "$work"/way-*
  for round in $(seq 0 "$rounds"); do
    for way in native "${@%%:*}"; do
      configuration "$payload" "$("$change" "$round" "$way")"
      # The first round makes what all the others find.
      if [ "$round" = 0 ]; then nix_phase "$way" >/dev/null; else nix_phase "$way" >>"$work/way-$way"; fi
      [ "$payload" = 0 ] || forget_images
    done
  done
  for goal; do
    way=${goal%%:*}
    goal=${goal#*:}
    record "$name${ram:+, on RAM}, $way" "$(cut -d' ' -f1 "$work/way-native" | median)" \
      "$(cut -d' ' -f1 "$work/way-$way" | median)" ratio "$goal"
    record "$name${ram:+, on RAM}, $way, CPU" "$(cut -d' ' -f2 "$work/way-native" | median)" \
      "$(cut -d' ' -f2 "$work/way-$way" | median)" ratio ""
    record "$name${ram:+, on RAM}, $way, sdbuild whole" "$(cut -d' ' -f3 "$work/way-native" | median)" \
      "$(cut -d' ' -f3 "$work/way-$way" | median)" ratio ""
  done
  for way in "$work"/way-*; do say "$name, ${way##*-}: $(tr '\n' ';' <"$way")"; done
  configuration 0
}

stamp=$(date +%s)
changed() { echo "networking.hostName = lib.mkForce \"b-$stamp-$1-$2\"; environment.etc.round.text = \"$stamp $1 $2\"; boot.postBootCommands = \"echo $stamp $1 $2\";"; }
# Changes the file system and nothing in it.
relabelled() {
  local digits
  digits=$(printf '%s%s' "$stamp" "$1$2" | sha256sum | cut -c1-32)
  echo "sdImage.rootPartitionUUID = \"${digits:0:8}-${digits:8:4}-${digits:12:4}-${digits:16:4}-${digits:20:12}\";"
}
glue() {
  old_qemu
  compare "a changed configuration" 0 changed emulated:4 old:8
}
assembly() {
  old_qemu
  compare "assembling 1 GiB" 1024 relabelled emulated:2 old:
}
