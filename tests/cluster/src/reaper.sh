# Makes the directory of a cluster, and sees to it that neither the directory nor the server outlives us.
# $1: where to make it. $2: the directory of PostgreSQL's programs. It says the directory's path, or what went wrong, and
# then waits for the end of its stdin: a pipe whose other end only the owning process holds, so that it ends with it.
trap '' HUP INT PIPE QUIT TERM
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-

directory=$(mktemp -d "$1/boxoffice-postgres-XXXXXX" 2>&1) || { echo "$directory"; exit 1; }
echo "$directory"
exec >/dev/null 2>&1
while read -r _; do :; done

# All programs of a cluster, and no others, are PostgreSQL's (or its pooler) and run in its directory. What is just being born escapes us
# once, and may write while we remove; so we look again until the directory is gone. It goes last: who sees it gone knows
# that all is gone. There is a bound, so that a process that cannot die does not keep us.
round=0
while [ -e "$directory" ] && [ "$round" -lt 1000 ]; do
  [ "$round" = 0 ] || sleep 0.01
  round=$((round + 1))
  found=
  for process in /proc/[0-9]*; do
    if [ "$process/cwd" -ef "$directory" ] || [ "$process/cwd" -ef "$directory/data" ]; then
      case $(readlink "$process/exe") in
        "$2"/* | */pgbouncer) kill -KILL "${process#/proc/}" && found=yes ;;
      esac
    fi
  done
  if [ -z "$found" ]; then
    # A killed server leaves a segment of System V shared memory. Its id stands at the end of the seventh line.
    segment=$(sed -n '7s/.* //p' "$directory/data/postmaster.pid")
    [ -z "$segment" ] || ipcrm -m "$segment"
    rm -rf "$directory"
  fi
done
