#!/bin/sh
# Make the lake's bucket where it is missing, and become the catalog.
set -eu
: "${CATALOG_S3_ENDPOINT:?}" "${CATALOG_WAREHOUSE:?}" "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}"
bucket=${CATALOG_WAREHOUSE#s3://}
bucket=${bucket%%/*}

bucket_is() { # method
    curl --silent --show-error --output /dev/null --write-out '%{http_code}' --request "$1" \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        --aws-sigv4 "aws:amz:${AWS_REGION:-us-east-1}:s3" "$CATALOG_S3_ENDPOINT/$bucket"
}

code=$(bucket_is PUT)
case $code in
2?? | 409) ;; # made, or there already
*)
    printf 'error: the bucket %s cannot be made: %s answers %s\nhint: See the log of the object store.\n' \
        "$bucket" "$CATALOG_S3_ENDPOINT" "$code" >&2
    exit 4
    ;;
esac
exec java -jar iceberg-rest-adapter.jar
