#!/bin/sh
# Start Metabase. It ignores a folder of plugins that it cannot write, so that folder is on the volume.
set -eu
umask 077
data=${METABASE_DATA:-/metabase}
jars=${METABASE_JARS:-/app}

if ! mkdir -p "$data/plugins" || ! cp "$jars/duckdb.metabase-driver.jar" "$data/plugins/"; then
    printf "error: %s cannot be written by user %s\nhint: 'docker volume rm annals_metabase' makes it again; it holds Metabase's own questions, so back it up first.\n" \
        "$data" "$(id -u)" >&2
    exit 1
fi
export MB_PLUGINS_DIR="$data/plugins"
exec java -XX:MaxRAMPercentage=75 --add-opens java.base/java.nio=ALL-UNNAMED -jar "$jars/metabase.jar"
