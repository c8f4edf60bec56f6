# What is on the machine that tests must not change for good. Sourced, never run.
# shellcheck shell=bash

# The kernel's handlers; tests of these functions name another directory.
binfmt_table=${SDBUILD_TEST_BINFMT_TABLE:-/proc/sys/fs/binfmt_misc}

# binfmt_handlers [PREFIX] : the kernel's handlers whose names begin with PREFIX.
binfmt_handlers() {
  local entry
  for entry in "$binfmt_table/${1:-}"*; do
    [ -e "$entry" ] || continue
    case ${entry##*/} in register | status) ;; *) echo "handler ${entry##*/}: $(paste -s -d ' ' "$entry")" ;; esac
  done
}

# stale_containers : the names of sdbuild's containers that do not run.
stale_containers() {
  docker ps --all --format '{{.Names}}' --filter label=dev.sdbuild.run \
    --filter status=created --filter status=exited --filter status=dead
}

# remove_stale_containers : removes the containers that killed tests have left, and prints their names. The directories
# with the locks of their runs are gone, so that sdbuild would keep them, and the store that they use, for a day. Removes
# nothing while an sdbuild runs on this machine, which may need its own.
remove_stale_containers() {
  local names
  ! pgrep -x sdbuild >/dev/null || return 0
  mapfile -t names < <(stale_containers)
  [ ${#names[@]} = 0 ] || docker rm "${names[@]}"
}

# stale_objects : what killed runs have left, which the next run or `clean` may remove: containers that do not run, and handlers.
stale_objects() {
  stale_containers | sed 's/^/container /'
  binfmt_handlers sdbuild-
}

# machine_state IGNORED : the kernel's handlers, and the engine's containers, networks and volumes, but for the store that
# the tests share, and but for the lines of IGNORED.
machine_state() {
  {
    binfmt_handlers
    docker ps --all --format 'container {{.Names}}'
    docker network ls --format 'network {{.Name}}'
    docker volume ls --format 'volume {{.Name}}'
  } | grep -v '^volume sdbuild-tests-filled-' \
    | grep -vxF -e 'volume sdbuild-store-tests' -e "${1:-volume sdbuild-store-tests}" || true
}
