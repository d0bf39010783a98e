#!/bin/sh
# Installs the Debian package on this machine, runs the daemon from where it is installed, upgrades, removes and purges
# it. For machines that are thrown away: it needs root, and refuses where jhe-ow is installed already.
set -eu
cd "$(dirname "$0")/.."
if dpkg-query --show jhe-ow >/dev/null 2>&1; then
    echo "jhe-ow is installed here already" >&2
    exit 2
fi
if [ -e /var/lib/jhe-ow ]; then
    echo "/var/lib/jhe-ow is somebody's" >&2
    exit 2
fi
work=$(mktemp -d)
daemon=''
service=''
finish() {
    code=$?
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    dpkg --purge jhe-ow >/dev/null 2>&1 || true
    rm -rf "$work" ${service:+"$service"}
    exit "$code"
}
trap finish EXIT

fail() {
    echo "$1" >&2
    exit 1
}

build() {
    packaging/build-deb dev "$1" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
    # The next one takes its place.
    cp "$(tail -n 1 "$work/build.log")" "$work/"
    ls "$work/jhe-ow_$1"_*.deb
}

# As systemd would call it: the state in a directory of its own, the configuration in /etc.
export STATE_DIRECTORY="$work/state" CONFIGURATION_DIRECTORY=/etc/jhe-ow JHE_OW_BIND=127.0.0.1:18002
mkdir -m 0700 "$STATE_DIRECTORY"

serve() {
    (cd /etc/jhe-ow && exec /usr/bin/jhe-ow serve) >"$work/serve.log" 2>&1 &
    daemon=$!
    tries=0
    until (cd / && /usr/bin/jhe-ow ready) >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$work/serve.log" >&2; fail "the daemon is not ready"; }
        sleep 0.1
    done
    kill -TERM "$daemon"
    wait "$daemon" || fail "the daemon ended with $?"
    daemon=''
}

first=$(build 0.0.1-1)
second=$(build 0.0.2-1)

dpkg --install "$first"
cd /
jhe-ow --version
man --where jhe-ow jhe-ow-patient-add
bash -n /usr/share/bash-completion/completions/jhe-ow
[ -e /usr/lib/systemd/system/jhe-ow.service ] || fail "the unit is missing"
echo "# a line of the operator's" >>/etc/jhe-ow/jhe-ow.toml
serve
jhe-ow patient add --name Ada

# What only root may look into, of a user that is not root: as the service leaves it.
service=/var/lib/jhe-ow
install -d -m 0700 -o 61582 -g 61582 "$service"
jhe-ow-ctl patient add --name Grace
jhe-ow-ctl patient list | grep -q Grace || fail "jhe-ow-ctl does not work on the service's data"
[ -z "$(find "$service" ! -user 61582)" ] || fail "jhe-ow-ctl left what the service cannot open"
jhe-ow-ctl backup "$work/backup.sqlite3"
[ "$(stat --format=%u:%a "$work/backup.sqlite3")" = 0:600 ] || fail "a backup is not root's alone"
jhe-ow-ctl restore --force "$work/backup.sqlite3"
[ -z "$(find "$service" ! -user 61582)" ] || fail "what was restored is not the service's"
if env -u STATE_DIRECTORY HOME="$work" jhe-ow patient list; then
    fail "a second store was begun beside the service's"
fi

dpkg --install "$second"
[ "$(dpkg-query --show --showformat='${Version}' jhe-ow)" = 0.0.2-1 ] || fail "it was not upgraded"
grep -q "a line of the operator's" /etc/jhe-ow/jhe-ow.toml || fail "the upgrade lost what the operator wrote"
serve
jhe-ow patient list | grep -q Ada || fail "the upgrade lost a patient"

dpkg --remove jhe-ow
[ ! -e /usr/bin/jhe-ow ] || fail "the binary was left"
[ -e /etc/jhe-ow/jhe-ow.toml ] || fail "removing is not purging: the configuration stays"

dpkg --purge jhe-ow
[ ! -e /etc/jhe-ow/jhe-ow.toml ] || fail "the configuration was left"
[ -e "$STATE_DIRECTORY/jhe-ow.sqlite3" ] || fail "patients' data were removed"
echo "the package installs, serves, upgrades, and goes"
