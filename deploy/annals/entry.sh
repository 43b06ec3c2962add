#!/bin/sh
# The beginning of every container of ours: look at what it needs, say what is wrong with it, and
# become the command. ANNALS_WRITES names the folders that it writes to, with spaces between them.
set -eu
# The volumes belong to group 0, which every container of ours is in; nobody else may read them.
case ${STATE_MODE:-private} in
group) umask 007 ;;
*) umask 077 ;;
esac

LEAST_DISK_KIB=${ANNALS_LEAST_DISK_KIB:-102400}
LEAST_MEMORY_KIB=${ANNALS_LEAST_MEMORY_KIB:-131072}
MEMORY_LIMIT_FILE=${ANNALS_MEMORY_LIMIT_FILE:-/sys/fs/cgroup/memory.max}

fail() { # exit code, what is wrong, what to do
    printf 'error: %s\nhint: %s\n' "$2" "$3" >&2
    exit "$1"
}

if [ "$#" -eq 0 ]; then
    fail 2 "there is no command to run" "Give one, such as: python -m analytics.cli sync run"
fi

for folder in ${ANNALS_WRITES:-}; do
    if ! probe=$(mktemp "$folder/.writable.XXXXXX" 2>/dev/null); then
        fail 1 "$folder cannot be written by user $(id -u)" \
            "Its volume belongs to another user: run 'make up' as that user, or 'chown -R $(id -u):0' it in the volume (docs/deployment.md)."
    fi
    rm -f "$probe"
    free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
    if [ "$free" -lt "$LEAST_DISK_KIB" ]; then
        fail 10 "$folder has only $((free / 1024)) MiB left" \
            "Free some space on the disk of Docker's volumes ('docker system df' says what takes it); nothing is lost until then."
    fi
done

if [ -r "$MEMORY_LIMIT_FILE" ]; then
    limit=$(cat "$MEMORY_LIMIT_FILE")
    case $limit in
    *[!0-9]* | '') ;; # "max": no limit
    *)
        if [ "$((limit / 1024))" -lt "$LEAST_MEMORY_KIB" ]; then
            fail 1 "this container may use only $((limit / 1048576)) MiB of memory" \
                "Raise its limit in docker-compose.yml, or WORKER_MEMORY in .env.analytics, to at least $((LEAST_MEMORY_KIB / 1024)) MiB."
        fi
        ;;
    esac
fi

exec "$@"
