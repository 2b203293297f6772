# Pause, resume or cancel one attempt, after making sure that its owner is the process it says.
# A runner that reads `control` is told there; any other gets signals, as a group (`-PGID` without `--` is the
# one form that every shell's kill takes).
main() {
    [ $# -eq 3 ] || return 64
    home=$1 attempt=$2 verb=$3
    folder=$home/$attempt
    owner=$(owner_of "$folder")
    ! orphan "$folder" || owner="orphan -"
    case $owner in
        none | gone) echo "GONE" ;;
        *)
            pid=${owner#* }
            if grep -q '"control": *"file"' "$folder/runner.json" 2>/dev/null; then
                case $verb in pause) word=pause ;; resume) word=run ;; cancel) word=cancel ;; esac
                echo "$word" | put "$folder" control && echo "DONE file" || echo "FAILED"
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
