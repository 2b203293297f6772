# Pause, resume or cancel one attempt, or tell it another rate or account (VALUE), after making sure that its owner
# is the process it says. A runner that reads `control` is told there; any other gets signals, as a group (`-PGID`
# without `--` is the one form that every shell's kill takes).

# wishes FOLDER VERB VALUE: the control file as it is to be. What it says of the rest is kept: the word, or the rate
# and the account. A runner that knows only the word never has more in its file.
wishes() {
    was=$(cat "$1/control" 2>/dev/null) kind=none
    case $2 in
        pause) echo pause ;;
        resume) echo run ;;
        cancel) echo cancel ;;
        *)
            kind=$2
            echo "$was" | grep -x -e run -e pause -e cancel | tail -n 1 | grep . || echo run
            ;;
    esac
    echo "$was" | grep -e '^rate ' -e '^account ' | grep -v "^$kind " || :
    [ "$kind" = none ] || echo "$kind $3"
}

# obeys FOLDER WISH: its runner says that it takes this wish while it goes.
obeys() {
    grep -q "\"controls\": *\[[^]]*\"$2\"" "$1/runner.json" 2>/dev/null
}

main() {
    [ $# -ge 3 ] || return 64
    home=$1 attempt=$2 verb=$3 value=${4-}
    folder=$home/$attempt
    owner=$(owner_of "$folder")
    ! orphan "$folder" || owner="orphan -"
    case $owner in
        none | gone) echo "GONE" ;;
        *)
            pid=${owner#* }
            unable=
            case $verb in rate | account) obeys "$folder" "$verb" || unable=yes ;; esac
            if [ "$unable" ]; then
                echo "UNABLE"
            elif grep -q '"control": *"file"' "$folder/runner.json" 2>/dev/null; then
                new=$(wishes "$folder" "$verb" "$value")
                # A rate written once more would say `run` anew to a send that waits for a person to say it.
                if [ -n "$value" ] && [ "$new" = "$(cat "$folder/control" 2>/dev/null)" ]; then
                    echo "DONE file"
                else
                    echo "$new" | put "$folder" control && echo "DONE file" || echo "FAILED"
                fi
                # It may have been stopped by a signal before it said that it reads the file.
                case $verb-$owner in resume-stopped* | cancel-stopped*) kill -CONT "-$pid" ;; esac
            else
                case $verb in
                    pause) kill -STOP "-$pid" ;;
                    resume) kill -CONT "-$pid" ;;
                    cancel) kill -TERM "-$pid" && kill -CONT "-$pid" ;;
                esac 2>/dev/null && echo "DONE signal" || echo "FAILED"
            fi
            # A moment for the state to follow: stopped, running again, or ended.
            waited=0
            while [ "$waited" -lt 20 ]; do
                case $verb-$(owner_of "$folder") in
                    pause-live* | resume-stopped* | cancel-live* | cancel-stopped*) ;;
                    *) break ;;
                esac
                [ ! -e "$folder/runner.json" ] || [ "$verb" = cancel ] || break
                waited=$((waited + 1))
                sleep 0.1
            done
            ;;
    esac
    [ ! -d "$folder" ] || tell "$folder"
}
