//! What the calls do in the VM: scripts for a POSIX `sh`, with GNU tools or those of busybox.
//!
//! The first path is `$p`; a second one comes escaped as `$2`. Paths are absolute, so none is taken
//! for an option. State is tested before tools are let at it, since their messages differ.

/// Functions that all of them use.
pub(super) const PRELUDE: &str = include_str!("prelude.sh");

/// Gives a file of up to `$2` bytes, and anything else up to `$3` bytes.
pub(super) const READ: &str = r#"
[ -e "$p" ] || absent "$p"
[ ! -d "$p" ] || fail 5
need stat head
size=$(stat -L -c %s "$p") || exit
if [ -f "$p" ]; then
    [ "$size" -lt "$3" ] || fail 6
    [ "$size" -le "$2" ] || fail 9
fi
exec head -c "$3" "$p"
"#;

/// Makes or replaces a file of stdin, or of what is staged as `$4`. Its temporary name is `$2`, and
/// its length must be `$3`. With `$5` nothing is done but to look whether it can be.
pub(super) const WRITE: &str = r#"
resolve "$p"
new=${file%/*}/$2 size=$3 staged=$4
[ -z "$5" ] || exit 0
need wc mv
trap 'rm -f "$new" ${staged:+"$staged"}' EXIT
input() { cat ${staged:+"$staged"}; }
replace() {
    need stat
    mode=$(stat -c %a "$file") && owner=$(stat -c %u:%g "$file") || return
    (umask 077; : > "$new") && input > "$new" || return
    chown "$owner" "$new" 2> /dev/null
    chmod "$mode" "$new"
}
whole() {
    found=$(wc -c < "$new") || return
    [ "$found" -eq "$size" ] || { echo "only $found of $size bytes arrived" >&2; return 1; }
}
if in_place "$file"; then input > "$file"; exit; fi
if [ -e "$file" ]; then replace; else input > "$new"; fi && whole && mv -f "$new" "$file"
exit
"#;

/// Adds stdin, or what is staged as `$2`, to the end of a file. With `$3` nothing is done but to look
/// whether it can be.
pub(super) const APPEND: &str = r#"
resolve "$p"
staged=$2
[ -z "$3" ] || exit 0
trap 'rm -f ${staged:+"$staged"}' EXIT
cat ${staged:+"$staged"} >> "$p"
exit
"#;

/// What `stat` tells of a file: see `metadata.rs`, which reads it.
macro_rules! stat_format {
    () => {
        "%f %s %Y %u %g %y"
    };
}

/// With `-L` as `$2` a link is followed.
pub(super) const METADATA: &str = concat!(
    r#"
if [ -n "$2" ]; then [ -e "$p" ] || absent "$p"; fi
there "$p" || absent "$p"
need stat
exec stat $2 -c '"#,
    stat_format!(),
    r#"' "$p"
"#
);

/// A name has no slash, so one ends it.
pub(super) const READ_DIR: &str = concat!(
    r#"
[ -e "$p" ] || absent "$p"
[ -d "$p" ] || fail 4
need find stat
[ -x "$p" ] || fail 2
cd "$p" || exit
exec find . ! -name . -prune -exec stat -c '"#,
    stat_format!(),
    r#"%n/' {} +
"#
);

pub(super) const EXISTS: &str = r#"[ -e "$p" ] || absent "$p""#;

pub(super) const CREATE_DIR: &str = r#"
! there "$p" || fail 3
parent "$p"
exec mkdir "$p"
"#;

pub(super) const CREATE_DIR_ALL: &str = r#"
[ ! -d "$p" ] || exit 0
! there "$p" || fail 3
above "$p"
exec mkdir -p "$p"
"#;

pub(super) const READ_LINK: &str = r#"
there "$p" || absent "$p"
[ -L "$p" ] || fail 7
need readlink
exec readlink "$p"
"#;

/// `$2` is where the link leads.
pub(super) const SYMLINK: &str = r#"
to=$(printf '%b.' "$2"); to=${to%.}
! there "$p" || fail 3
parent "$p"
exec ln -s -- "$to" "$p"
"#;

/// `mv` alone would put the file into a folder of the target's name, or of the one a link of that
/// name leads to. GNU's `-T` prevents it in one step; busybox refuses, or has none.
pub(super) const RENAME: &str = r#"
to=$(printf '%b.' "$2"); to=${to%.}
there "$p" || absent "$p"
[ "$p" != "$to" ] || exit 0
if is_folder "$p"; then
    case $to in "${p%/}"/*) fail 7 ;; esac
fi
about=110
parent "$to"
if there "$to"; then
    if is_folder "$p"; then
        is_folder "$to" || fail 4
    elif is_folder "$to"; then
        fail 5
    fi
fi
if [ -d "$to" ]; then
    ! mv --version > /dev/null 2>&1 || exec mv -f -T "$p" "$to"
    if [ -L "$to" ]; then rm -f "$to"; else rmdir "$to"; fi || exit
fi
exec mv -f "$p" "$to"
"#;

/// The temporary name is `$3`. Tells the length.
pub(super) const COPY: &str = r#"
to=$(printf '%b.' "$2"); to=${to%.}
[ -e "$p" ] || absent "$p"
[ ! -d "$p" ] || fail 5
need stat cp mv wc
about=110
resolve "$to"
if in_place "$file"; then
    cat "$p" > "$file" && wc -c < "$p"
    exit
fi
new=${file%/*}/$3
trap 'rm -f "$new"' EXIT
mode=$(stat -L -c %a "$p") && cp "$p" "$new" && chmod "$mode" "$new" && stat -c %s "$new" &&
    mv -f "$new" "$file"
exit
"#;

pub(super) const REMOVE_FILE: &str = r#"
there "$p" || absent "$p"
! is_folder "$p" || fail 5
exec rm -f "$p"
"#;

pub(super) const REMOVE_DIR: &str = r#"
there "$p" || absent "$p"
is_folder "$p" || fail 4
exec rmdir "$p"
"#;

/// Not every `rm` refuses the root.
pub(super) const REMOVE_DIR_ALL: &str = r#"
there "$p" || absent "$p"
is_folder "$p" || fail 4
case $(cd "$p" && pwd -P) in / | //) fail 7 ;; esac
exec rm -rf "$p"
"#;

pub(super) const SET_PERMISSIONS: &str = r#"
[ -e "$p" ] || absent "$p"
exec chmod "$2" "$p"
"#;
