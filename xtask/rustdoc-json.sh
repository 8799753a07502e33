#!/bin/sh
# rustdoc for `cargo xtask api`: JSON is an unstable output, which stable Rust gives to those who insist.
# Were the variable set for cargo, build scripts would see it, and everything would be compiled again.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
