# Sees to it that no server outlives the load test. $1: the directory in which it runs. $2: its program. $3: what to do with
# the directory, keep or remove. It waits for the end of its stdin: a pipe whose other end only the load test holds, so that it
# ends with it.
trap '' HUP INT PIPE QUIT TERM
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
exec >/dev/null 2>&1
while read -r _; do :; done

# A server that is just being born escapes us once, so we look until twice in a row there was none. There is a bound, so that a
# process that cannot die does not keep us.
round=0
quiet=0
while [ -e "$1" ] && [ "$round" -lt 1000 ] && [ "$quiet" -lt 2 ]; do
  [ "$round" = 0 ] || sleep 0.01
  round=$((round + 1))
  quiet=$((quiet + 1))
  for process in /proc/[0-9]*; do
    if [ "$process/cwd" -ef "$1" ]; then
      # The star stands for " (deleted)": the program may have been built anew meanwhile.
      case $(readlink "$process/exe") in
        "$2"*) kill -KILL "${process#/proc/}" && quiet=0 ;;
      esac
    fi
  done
done
[ "$3" = keep ] || rm -rf "$1"
