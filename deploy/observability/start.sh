#!/bin/sh
# Put the password of the Prefect server where the configuration names it, and become Prometheus.
set -eu
: "${PREFECT_PASSWORD:?}"
umask 077
printf '%s' "$PREFECT_PASSWORD" > /tmp/prefect-password
unset PREFECT_PASSWORD
exec /bin/prometheus "$@"
