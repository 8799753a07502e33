#!/usr/bin/env bash
# Runs Schemathesis with openapi.yaml against the local server: made-up requests, valid and not, and
# what the document says of the answers. Needs what the server needs, and Python with venv.
# Arguments go to Schemathesis, last and so with effect: `tests/schemathesis.sh --seed 7 -n 500`.
# FASTVM_LOCAL names a server that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/target/schemathesis
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5

if [[ -z ${FASTVM_LOCAL:-} ]]; then
    cargo build --quiet -p fastvm-local
    FASTVM_LOCAL=target/debug/fastvm-local
fi
run=$(mktemp -d)
"$FASTVM_LOCAL" --listen 127.0.0.1:0 --api-key dev >"$run/exports" 2>"$run/log" &
server=$!
trap 'cd /; kill -INT "$server" 2>/dev/null && wait "$server" || true; rm -r "$run"' EXIT
until grep -qs FASTVM_API_KEY "$run/exports"; do
    kill -0 "$server" 2>/dev/null || { cat "$run/log" >&2; exit 1; }
    sleep 0.1
done
url=$(sed -n 's/^export FASTVM_BASE_URL=//p' "$run/exports")

# Operations that the server says it does not have.
missing=()
for operation in $(sed -n 's/.*answered with 501: //p' "$run/log" | tr -d ,); do
    missing+=(--exclude-operation-id "$operation")
done

# Parameters whose keys have a prefix are left out: OpenAPI cannot say it, so any pair of the query
# would pass for one of them.
"$tools/bin/python" - openapi.yaml "$run/openapi.json" <<'END'
import json, sys, yaml

source, target = sys.argv[1:]
document = yaml.safe_load(open(source))
parameters = document["components"]["parameters"]
prefixed = {f"#/components/parameters/{name}" for name in parameters
            if "x-fastvm-key-prefix" in parameters[name]}
for path in document["paths"].values():
    for operation in path.values():
        kept = [one for one in operation.get("parameters", []) if one.get("$ref") not in prefixed]
        operation["parameters"] = kept
json.dump(document, open(target, "w"))
END

# `positive_data_acceptance` would have every body accepted that fits its schema, but the API's rules
# go beyond: a machine type has to exist, a public key to be one.
cd "$run"
status=0
"$tools/bin/schemathesis" run openapi.json --url "$url" --header 'X-API-Key: dev' \
    --checks all --exclude-checks positive_data_acceptance --continue-on-failure \
    --max-examples 100 --seed 1 --request-timeout 30 "${missing[@]}" "$@" || status=$?
if grep -q panicked "$run/log"; then
    cat "$run/log" >&2
    status=1
fi
exit "$status"
