#!/bin/sh
# Starts the daemon below Litestream; on a new volume it first puts back what Litestream has of the old one.
set -eu
data=${JHE_OW_DATA_DIR:?}
as_daemon=''
if [ "$(id -u)" = 0 ]; then
    chown 65532:65532 "$data"
    as_daemon='setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs'
fi
# The restored file has patients' data, and Litestream gives everybody the right to read it.
umask 077
# Files that a start that was cut off has left: the copy, its log, and parts of either.
rm -f "$data"/replica.sqlite3*
if [ ! -e "$data/jhe-ow.sqlite3" ]; then
    $as_daemon litestream restore -if-replica-exists -o "$data/replica.sqlite3" "$data/jhe-ow.sqlite3"
    if [ -e "$data/replica.sqlite3" ]; then
        # It checks the file, notes that JHE may have more than is in it, and suspends the consents that were recorded
        # here: nobody knows who has withdrawn since the replica.
        $as_daemon jhe-ow restore "$data/replica.sqlite3"
        rm -f "$data"/replica.sqlite3*
    fi
fi
exec $as_daemon litestream replicate -exec "jhe-ow serve"
