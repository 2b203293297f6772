# A cron table, read whole, or put in place of itself with one line changed. Cron sees the old file or the new one,
# never a part: the new one is written beside it under a name that cron passes over, synced, and renamed.
#   read FILE                                        what it is, and all of it
#   swap FILE BACKUPS BEFORE AFTER LINE DROP ADD     with DROP bytes less and ADD before line LINE, if its SHA-256 is
#                                                    BEFORE and becomes AFTER; a copy is kept in the folder BACKUPS
# Answers with one word, and with what a refusal rests on; only SWAPPED and UNPROVEN have changed anything.
facts() {
    stat -c '%F|%a|%U|%G|%h|%Y' "$1"
}

# The bytes travel encoded, so they can't look like an answer.
tell_table() {
    [ ! -L "$file" ] || { echo "LINK $(readlink "$file" | encode)"; return; }
    [ -e "$file" ] || { echo MISSING; return; }
    [ -f "$file" ] || { echo ODD; return; }
    [ -r "$file" ] || { echo UNREADABLE; return; }
    [ "$(stat -c %s "$file")" -le 1048576 ] || { echo LARGE; return; }
    writable=no
    [ -w "${file%/*}" ] && [ -x "${file%/*}" ] && writable=yes
    echo "TABLE $writable $(facts "$file" | encode) $(encode <"$file")"
}

sum() {
    set -- "$(sha256sum <"$1")"
    echo "${1%% *}"
}

changed_table() {
    [ "$line" = 1 ] || head -n "$((line - 1))" "$file"
    printf '%s' "$add"
    tail -n "+$line" "$file" | tail -c "+$((drop + 1))"
}

give_up() {
    rm -f "$new"
    echo "$@"
}

keep_copy() {
    copy=$backups/${file##*/}.$(echo "$before" | head -c 16)
    [ -f "$copy" ] && [ "$(sum "$copy")" = "$before" ] && return
    put "$backups" "${copy##*/}" <"$file" && [ "$(sum "$copy")" = "$before" ] && keep "${backups%/*}"
}

swap() {
    backups=$1 before=$2 after=$3 line=$4 drop=$5 add=$6
    folder=${file%/*}
    new=$folder/.${file##*/}.opsconsole-new # cron passes over names with a dot
    [ ! -L "$file" ] && [ -f "$file" ] && [ -r "$file" ] && [ "$(sum "$file")" = "$before" ] || { echo CHANGED; return; }
    [ -w "$folder" ] && [ -x "$folder" ] || { echo LOCKED; return; }
    umask 077
    mkdir -p "$backups" 2>/dev/null && [ -w "$backups" ] || { echo "NOCOPY $(echo | encode)"; return; }
    take "$backups" || { echo BUSY; return; }
    keep_copy 2>/dev/null || { echo "NOCOPY $(df -Pk "${backups%/*}" 2>/dev/null | tail -n 1 | encode)"; return; }
    rm -f "$new"
    was=$(facts "$file")
    # A copy has mode, owner and whatever else belongs to it; then it gets its content.
    cp -p "$file" "$new" 2>/dev/null && changed_table 2>/dev/null >"$new" ||
        { give_up "FULL $(df -Pk "$folder" | tail -n 1 | encode)"; return; }
    [ "$(sum "$new")" = "$after" ] || { give_up "FULL $(df -Pk "$folder" | tail -n 1 | encode)"; return; }
    now=$(facts "$new")
    [ "${was%|*}" = "${now%|*}" ] || { give_up "OWNER $(echo "$now" | encode)"; return; }
    # Cron knows a changed table by its whole seconds, so they only ever grow.
    if [ "${was##*|}" -ge "${now##*|}" ]; then
        touch -d "@$((${was##*|} + 1))" "$new" 2>/dev/null || { sleep 1 && touch "$new"; }
    fi
    keep "$new" 2>/dev/null || { give_up "FULL $(df -Pk "$folder" | tail -n 1 | encode)"; return; }
    [ "$(sum "$file")" = "$before" ] || { give_up CHANGED; return; }
    mv -f "$new" "$file" 2>/dev/null || { give_up FAILED; return; }
    keep "$folder" 2>/dev/null && [ "$(sum "$file")" = "$after" ] || { echo "UNPROVEN $(echo "$copy" | encode)"; return; }
    echo "SWAPPED $(echo "$copy" | encode)"
    tell_table
}

main() {
    verb=$1 file=$2
    shift 2
    case $verb-$# in
        read-0) tell_table ;;
        swap-6) swap "$@" ;;
        *) return 64 ;;
    esac
}
