# One file, whole: its digest on a line, then its bytes. Ends with 3 when it is missing, 4 unreadable, 5 too large.
main() {
    [ $# -eq 2 ] || return 64
    path=$1 cap=$2
    digest=$(digest_of "$path")
    case $digest in missing) return 3 ;; unreadable) return 4 ;; esac
    [ "$(stat -Lc %s "$path")" -le "$cap" ] || return 5
    echo "$digest"
    head -c "$cap" <"$path"
}
