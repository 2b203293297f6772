# The runner's file. Whoever starts it finds the old file or the new one, never a part: the new one is written beside
# it, synced, its digest compared, run once, and renamed.
#   look FILE ASK                   what is there; with ASK yes it is run, to say what it can do
#   put FILE BEFORE AFTER COPY      what runner_text prints (base64) in place of FILE, whose SHA-256 is BEFORE (none:
#                                   nothing is there); what was there stays as COPY
#   back FILE BEFORE AFTER COPY     COPY, whose SHA-256 is AFTER, in place of FILE
# put and back answer with one word, and with what a refusal rests on; only DONE and UNPROVEN have changed anything.
sum() {
    set -- "$(sha256sum <"$1")"
    echo "${1%% *}"
}

there() {
    if [ -L "$file" ]; then
        echo link
    elif [ -f "$file" ]; then
        [ -r "$file" ] && sum "$file" || echo unreadable
    elif [ -e "$file" ]; then
        echo odd
    else
        echo none
    fi
}

python_of() {
    "$1" python3 -I -S -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null </dev/null || echo -
}

cron_path() {
    PATH=/usr/bin:/bin "$@"
}

# at_it: the pid of a process that runs this file for a campaign.
at_it() {
    for line in $(named_by "$file"); do
        tr '\0' '\n' <"$line" 2>/dev/null | awk -v file="$file" '
            NR <= 5 && $0 == file { runs = 1 }
            $0 ~ /^--campaign/ { campaign = 1 }
            END { exit !(runs && campaign) }' || continue
        line=${line#/proc/}
        echo "${line%%/*}"
        return
    done
}

look() {
    echo "PYTHON $(python_of command) $(python_of cron_path)"
    found=$(there)
    echo "THERE $found"
    case $found in
        link) echo "LINK $(readlink -f "$file" | encode)" ;;
        none | odd | unreadable) ;;
        *)
            echo "FACTS $(stat -c '%s|%a|%U' "$file" | encode)"
            echo "END $(tail -c 200 "$file" | encode)"
            [ "$(head -c 2000 "$file" | grep -ac 'from runner.cli import')" = 0 ] || echo WRAPPER
            ;;
    esac
    [ "$1" != yes ] || [ ! -f "$file" ] || [ ! -x "$file" ] ||
        echo "SAYS $("$file" --capabilities 2>/dev/null </dev/null | head -c 4096 | encode)"
    for copy in "$file".before-*; do
        [ ! -f "$copy" ] || [ -L "$copy" ] || echo "KEPT $(echo "$copy" | encode) $(sum "$copy")"
    done
    echo DONE
}

room() {
    echo "$1 $(df -Pk "$folder" 2>/dev/null | tail -n 1 | encode)"
}

# free BEFORE: the file is what was looked at, nobody runs it, and it may be replaced.
free() {
    [ "$(there)" = "$1" ] || { echo CHANGED; return 1; }
    [ -w "$folder" ] && [ -x "$folder" ] || { echo LOCKED; return 1; }
    pid=$(at_it)
    [ -z "$pid" ] || { echo "BUSY $pid"; return 1; }
}

give_up() {
    rm -f "$new"
    echo "$@"
}

put_file() {
    before=$1 after=$2 copy=$3
    free "$before" || return
    rm -f "$folder/.${file##*/}.opsconsole-new-"*
    new=$folder/.${file##*/}.opsconsole-new-$$
    umask 022
    (runner_text | base64 -d >"$new") 2>/dev/null || { give_up "$(room FULL)"; return; }
    [ "$(sum "$new")" = "$after" ] || { give_up "$(room WRONG)"; return; }
    chmod 755 "$new" && keep "$new" 2>/dev/null || { give_up "$(room FULL)"; return; }
    said=$("$new" --capabilities 2>&1 </dev/null | head -c 4096)
    case $said in
        *'"runner": "opsconsole"'*) ;;
        *) give_up "NOTRUN $(echo "$said" | encode)"; return ;;
    esac
    if [ "$before" != none ]; then
        cp -p "$file" "$copy" 2>/dev/null && [ "$(sum "$copy")" = "$before" ] && keep "$copy" 2>/dev/null ||
            { rm -f "$copy"; give_up "$(room NOCOPY)"; return; }
    fi
    if ! why=$(free "$before"); then
        [ "$before" = none ] || rm -f "$copy"
        give_up "$why"
        return
    fi
    in_place "$new" "$after"
}

put_back() {
    before=$1 after=$2 copy=$3 new=
    free "$before" || return
    [ -f "$copy" ] && [ ! -L "$copy" ] && [ "$(sum "$copy")" = "$after" ] || { echo WRONG; return; }
    in_place "$copy" "$after"
}

in_place() {
    mv -f "$1" "$file" 2>/dev/null || { give_up FAILED; return; }
    keep "$folder" 2>/dev/null && [ "$(there)" = "$2" ] && echo DONE || echo UNPROVEN
}

main() {
    verb=$1 file=$2 folder=${2%/*}
    folder=${folder:-/}
    shift 2
    case $verb-$# in
        look-1) look "$1" ;;
        put-3) put_file "$@" ;;
        back-3) put_back "$@" ;;
        *) return 64 ;;
    esac
}
