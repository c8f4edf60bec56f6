# Holds the lock of deployments on this machine, which no restart keeps, until its input ends or is silent for a minute. Root.
exec 9>/run/sdbuild-deploy.lock
flock -n 9 || {
  echo 'sdbuild: busy'
  exit 0
}
echo 'sdbuild: locked'
while line=$(timeout 60 head -n 1) && [ -n "$line" ]; do :; done
