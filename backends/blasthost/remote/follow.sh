# The log of one attempt from byte OFFSET on, until its owner is gone. Ends with 3 when there is no log, with 4
# when it is shorter than OFFSET.
poll() {
    while :; do
        # Looked at before the bytes are: who is gone now writes no more behind what is read next.
        owner=$(owner_of "$folder")
        size=$(stat -c %s "$folder/out")
        if [ "$size" -gt "$offset" ]; then
            tail -c "+$((offset + 1))" "$folder/out" | head -c "$((size - offset))" || return
            offset=$size
        fi
        case $owner in none | gone) return 0 ;; esac
        sleep 0.5
    done
}

# watch PID: lasts as long as the run and as we do. tail's own look at a pid takes a zombie for alive.
watch() {
    while [ ! -e "$folder/finished" ] && kill -0 $$ && read -r line <"/proc/$1/stat"; do
        case ${line##*) } in [ZX]*) return ;; esac
        sleep 0.3
    done
}

main() {
    [ $# -eq 2 ] || return 64
    folder=$1 offset=$2
    [ -r "$folder/out" ] || return 3
    [ "$(stat -c %s "$folder/out")" -ge "$offset" ] || return 4
    owner=$(owner_of "$folder") waited=0
    # A start may be a moment away; one that was given up never comes.
    while [ "$owner" = none ] && [ ! -e "$folder/abandoned" ] && [ ! -e "$folder/busy" ] && [ "$waited" -lt 50 ]; do
        sleep 0.1
        waited=$((waited + 1))
        owner=$(owner_of "$folder")
    done
    case $owner in
        none | gone) tail -c "+$((offset + 1))" "$folder/out" ;;
        *)
            if tail --help 2>&1 | grep -q -e --pid; then
                watch "${owner#* }" >/dev/null 2>&1 &
                tail -c "+$((offset + 1))" -s 0.3 -f "--pid=$!" "$folder/out"
            else
                poll
            fi
            ;;
    esac
}
