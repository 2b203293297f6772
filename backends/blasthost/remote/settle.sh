# After a start whose answer was lost: is there a claim of this run? If not, VOID, which names that very start or
# the run whoever starts it, is made void under the lock it would need, so that "nothing was started" stays true even
# if its script arrives late. (What is older than a day is refused for its clock.) A claim without a start is looked
# into: FAILED says that it never will have one.
main() {
    [ $# -eq 3 ] || return 64
    home=$1 run=$2 void=$3
    umask 027
    mkdir -p "$home" 2>/dev/null && take "$home" 2>/dev/null || { echo BUSY; return; }
    for other in $(attempts "$home"); do
        [ "$(run_of "$home/$other")" = "$run" ] || continue
        answer=EXISTS
        released "$home/$other" || [ -e "$home/$other/finished" ] || ! dead "$home/$other" || answer='FAILED start'
        tell "$home/$other"
        echo "$answer"
        return
    done
    if : | put "$home" ".void-$void"; then
        echo ABSENT
    else
        echo BUSY
    fi
}
