#!/bin/sh
# A runner of the kind that was there before the console: human lines only, settings in a file beside it
# (`campaigns`, `spool`, `every` recipients a `nap` of seconds). It knows nothing of run folders or control files.
. "$(dirname "$0")/old-runner.conf"
mode='' campaign=''
while [ $# -gt 0 ]; do
    case $1 in
        --campaign) campaign=$2; shift ;;
        --mode) mode=$2; shift ;;
        --verbose | --log-delivery | --notify-completion) ;;
        *) echo "usage: $0 --campaign NAME --mode dry-run|send" >&2; exit 64 ;;
    esac
    shift
done
data=$campaigns/$campaign/blast_data.csv
[ -r "$data" ] || { echo "ERROR: no data for $campaign"; exit 1; }
total=$(($(wc -l <"$data") - 1)) count=0
echo "Starting $campaign"
[ "$mode" != dry-run ] || echo "Dry run: no mail will be sent"
sed 1d "$data" | while IFS=, read -r email rest; do
    count=$((count + 1))
    [ "$mode" = dry-run ] || echo "$campaign $email" >>"$spool/mail"
    if [ $((count % every)) = 0 ]; then
        echo "  $count/$total $email"
        sleep "$nap"
    fi
done
echo "$total recipients processed"
echo "0 SMTP failures"
echo "Completed in 0.1 minutes"
