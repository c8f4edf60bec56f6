#!/bin/sh
# The lease of a rented machine: the machine switches itself off when its lease has ended, and is destroyed by that. cloud-init runs
# this at each boot, before anything else, so that nothing that hangs later keeps the machine.
# Arguments: the lease in seconds, the directory for the scripts, the directory for units of systemd.
set -eu
lease=$1 dir=$2 units=$3
mkdir -p "$dir" "$units"
cat >"$dir/extend" <<END
#!/bin/sh
# The lease ends $lease seconds from now.
set -eu
read -r up _ </proc/uptime
echo "\$((\${up%.*} + $lease))" >"$dir/end.new"
mv "$dir/end.new" "$dir/end"
END
cat >"$dir/check" <<END
#!/bin/sh
# Switches the machine off unless it has a lease that has not ended.
read -r up _ </proc/uptime
end=\$(cat "$dir/end") || end=0
[ "\${up%.*}" -lt "\$end" ] || systemctl --force --force poweroff
END
cat >"$units/sdbuild-lease.service" <<END
[Unit]
Description=Switches the machine off when its lease has ended
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh $dir/check
END
cat >"$units/sdbuild-lease.timer" <<END
[Unit]
Description=Looks at the lease of the machine
DefaultDependencies=no
[Timer]
OnActiveSec=20
OnUnitInactiveSec=20
AccuracySec=1
END
sh "$dir/extend"
systemctl daemon-reload
# Without waiting: the boot goes on only when this has ended.
systemctl --no-block start sdbuild-lease.timer
