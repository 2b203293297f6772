# Gives up a claim under which provably nothing was sent. The last line of the answer is RELEASED or REFUSED and why.
# released_text (without its opening brace) is written in front of this.

# spotless FOLDER: our runner's own records say that no message was handed over. Of a run of another boot, what was
# begun last may never have reached the disk; so there even rows that were only about to be begun count.
spotless() {
    grep -q '"runner": *"opsconsole"' "$1/runner.json" 2>/dev/null ||
        tail -n 1 "$1/out" 2>/dev/null | grep -q '^{"v": *1, *"summary": *true,.*"counts": *null' || return 1
    if [ -e "$1/journal" ] || [ -L "$1/journal" ]; then
        [ -f "$1/journal" ] && [ -r "$1/journal" ] || return 1
    else
        [ ! -e "$1/run.json" ]
        return
    fi
    [ -s "$1/journal" ] || { [ ! -e "$1/run.json" ]; return; }
    if [ "$(sed -n 's/^H [^ ]* \([^ ]*\) .*/\1/p' "$1/journal" | tail -n 1)" = "$(boot_id)" ]; then
        harmless='HCFDS'
    else
        harmless='HFDS'
    fi
    ! grep -q -a -v "^[$harmless] " "$1/journal"
}

main() {
    [ $# -eq 3 ] || return 64
    home=$1 attempt=$2 run=$3
    folder=$home/$attempt
    umask 027
    [ -d "$folder" ] || { echo REFUSED none; return; }
    take "$home" 2>/dev/null || { echo REFUSED state; return; }
    tell "$folder"
    [ "$(run_of "$folder")" = "$run" ] || { echo REFUSED other; return; }
    ! released "$folder" || { echo RELEASED already; return; }
    # With the lock in our hand no supervisor and no runner is there, and none comes up.
    (true >>"$home/lock") 2>/dev/null || { echo REFUSED state; return; }
    exec 9>>"$home/lock"
    flock -n 9 && ! at_work "$folder" || { echo REFUSED alive; return; }
    case $(owner_of "$folder") in live* | stopped*) echo REFUSED alive; return ;; esac
    if [ -e "$folder/finished" ]; then
        spotless "$folder" || { echo REFUSED reached; return; }
    else
        [ ! -e "$folder/started" ] || { echo REFUSED doubt; return; }
        [ ! -e "$folder/run.json" ] && [ ! -s "$folder/journal" ] || { echo REFUSED reached; return; }
    fi
    # The boot in which this was proven: what was claimed then and not begun is no doubt after the next one either.
    { printf '{"at":"%s","boot":"%s",' "$(utc)" "$(boot_id)" && released_text; } | put "$folder" released || { echo REFUSED state; return; }
    tell "$folder"
    echo RELEASED
}
