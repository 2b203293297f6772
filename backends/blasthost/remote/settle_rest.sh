# After a start of the rest whose answer was lost: EXISTS when it came up, ABSENT once it is certain that it never
# will, BUSY when something has the lock and it may yet.
main() {
    [ $# -eq 2 ] || return 64
    folder=$1 launch=$2
    umask 027
    take "${folder%/*}" 2>/dev/null || { echo BUSY; return; }
    answer=BUSY
    if resumed "$folder" "$launch"; then
        answer=EXISTS
    elif forgo "$folder" "$launch"; then
        answer=ABSENT
    fi
    tell "$folder"
    echo "$answer"
}
