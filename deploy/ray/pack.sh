#!/bin/sh
# Puts all that `ray up` copies to the nodes into one folder, ~/.nightpress/cluster: the wheel of this source tree, the versions that it
# was tested with, the unit of the fleet, the settings, and Ray's token. Settings and token are made once, and only their user may
# read them. Give it again after each change of the sources:
#
#   deploy/ray/pack.sh
set -eu
umask 077

here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
to=$HOME/.nightpress/cluster

mkdir -p "$to" "$HOME/.ray"
rm -f "$to"/nightpress-*.whl
python3 -m pip wheel --quiet --no-deps --wheel-dir "$to" "$tree"
cp "$tree/constraints.txt" "$here/nightpress-fleet.service" "$to/"

if [ ! -s "$to/settings.env" ]; then
  cat > "$to/settings.env" <<'SETTINGS'
# The settings of all nodes, a name and a value a line. Put your own Redis and storage here.
NIGHTPRESS_REDIS_URL=rediss://nightpress:PASSWORD@queue.internal:6379/0
NIGHTPRESS_STORE_URL=s3://content/nightpress
NIGHTPRESS_RAY_ADDRESS=auto
NIGHTPRESS_METRICS_PORT=9100
# How far the fleet lets the cluster grow: the GPUs of all nodes that max_workers allows. On machines of your own, leave it out.
NIGHTPRESS_MAX_GPUS=24
RAY_AUTH_MODE=token
SETTINGS
  echo "put your own Redis and storage into $to/settings.env"
fi
if [ ! -s "$HOME/.ray/auth_token" ]; then
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$HOME/.ray/auth_token"
fi
chmod 600 "$to/settings.env" "$HOME/.ray/auth_token"
