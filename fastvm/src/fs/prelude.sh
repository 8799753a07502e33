# Begins every script of the files. Exit codes from 100 on say what is wrong with the first path, from
# 110 on what with the second; the last digits are those of `refusal` in failure.rs.
export LC_ALL=C
p=$(printf '%b.' "$1"); p=${p%.}
about=100
fail() { exit $((about + $1)); }
need() {
    for tool; do
        command -v "$tool" > /dev/null || { echo "$tool is not there" >&2; about=100; fail 8; }
    done
}
there() { [ -e "$1" ] || [ -L "$1" ]; }
is_folder() { [ -d "$1" ] && [ ! -L "$1" ]; }
# Fails if what $1 is below of cannot hold anything.
above() {
    up=$1
    while [ -n "$up" ]; do
        case $up in */) up=${up%/} ;; *) up=${up%/*} ;; esac
        there "$up" || continue
        [ -e "$up" ] || fail 1
        [ -d "$up" ] || fail 4
        [ -x "$up" ] || fail 2
        return 0
    done
}
absent() { above "$1"; fail 1; }
# The folder that $1 is in, or is to be made in.
parent() {
    folder=${1%"${1##*[!/]}"}
    folder=${folder%/*}/
    [ -d "$folder" ] || absent "$folder"
}
# What $1 leads to, for a file that is to be made or replaced there, as $file.
resolve() {
    case $1 in */) fail 5 ;; esac
    [ ! -d "$1" ] || fail 5
    parent "$1"
    file=$1
    if [ -L "$1" ]; then
        need readlink
        file=$(readlink -f "$1" && echo .) || fail 1
        file=${file%??}
        parent "$file"
    fi
}
# Devices and the files of the kernel cannot be replaced.
in_place() {
    case $1 in /proc/* | /sys/*) return 0 ;; esac
    [ -e "$1" ] && [ ! -f "$1" ]
}
