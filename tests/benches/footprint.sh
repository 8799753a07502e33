#!/usr/bin/env bash
# What a program takes on that only uses `fastvm`: how many crates it compiles and, with `--build`, how
# long that takes from nothing and how large the stripped program is.
#
#   tests/benches/footprint.sh                  counts the crates, in a second
#   tests/benches/footprint.sh --build          builds as well, in minutes
#   tests/benches/footprint.sh [--build] --check    fails if one has grown by more than 5 % since it was kept
#   tests/benches/footprint.sh --build --keep   keeps the figures in footprint.txt, to be committed
set -euo pipefail
cd "$(dirname "$0")/../.."
kept=tests/benches/footprint.txt
builds='' checks='' keeps=''
for word; do
    case $word in
        --build) builds=1 ;;
        --check) checks=1 ;;
        --keep) keeps=1 ;;
        *) sed -n '2,9s/^# \?//p' "$0"; exit 2 ;;
    esac
done

figures=$(mktemp -d)
trap 'rm -rf "$figures"' EXIT

# Proc macros and build scripts are compiled, too.
cargo tree --quiet --locked --package fastvm --edges normal,build --prefix none --no-dedupe --format '{p}' |
    sed 's/ (.*//' | sort -u | wc -l | sed 's/^ */crates /' > "$figures/now"

if [[ $builds ]]; then
    program=$figures/program
    mkdir -p "$program/src"
    cat > "$program/Cargo.toml" << END
[package]
name = "program"
edition = "2024"

[dependencies]
fastvm = { path = "$PWD/fastvm" }
futures-util = { version = "0.3", default-features = false, features = ["std"] }
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }

[profile.release]
strip = true

[workspace]
END
    # The program that the README shows.
    sed -n '/^```rust/,/^```$/{/^```/d;p}' README.md > "$program/src/main.rs"
    cp Cargo.lock "$program"
    started=$EPOCHSECONDS
    env -u RUSTFLAGS CARGO_TARGET_DIR="$figures/target" cargo build --quiet --release --manifest-path "$program/Cargo.toml"
    echo "cold build: $((EPOCHSECONDS - started)) s on $(nproc) cores"
    stat --format 'bytes %s' "$figures/target/release/program" >> "$figures/now"
fi
cat "$figures/now"

if [[ $keeps ]]; then
    cp "$figures/now" "$kept"
fi
if [[ $checks ]]; then
    failed=''
    while read -r name now; do
        then=$(sed -n "s/^$name //p" "$kept")
        if ((now * 100 > then * 105)); then
            echo "$name: $now, more than 5 % above the $then that are kept in $kept" >&2
            failed=1
        elif ((now * 105 < then * 100)); then
            echo "$name: $now, well below the $then that are kept in $kept: keep that with --keep" >&2
        fi
    done < "$figures/now"
    [[ ! $failed ]]
fi
