# Makes the directory of a server, and sees to it that neither the directory nor the server outlives us.
# $1: where to make it. $2: the server's program, or the directory of its programs. It says the directory's path, or what went
# wrong, and then waits for the end of its stdin: a pipe whose other end only the owning process holds, so that it ends with it.
trap '' HUP INT PIPE QUIT TERM
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-

directory=$(mktemp -d "$1/boxoffice-private-XXXXXX" 2>&1) || { echo "$directory"; exit 1; }
# From inside, what runs here is known even when the directory has been removed.
cd "$directory" || exit 1
echo "$directory"
exec >/dev/null 2>&1
while read -r _; do :; done

# All programs of a server, and no others, are PostgreSQL's (or its pooler) or Redis, and run in its directory.
end_programs() {
  found=
  for process in /proc/[0-9]*; do
    [ "$process" != "/proc/$$" ] || continue
    if [ "$process/cwd" -ef . ] || [ "$process/cwd" -ef data ]; then
      case $(readlink "$process/exe") in
        "$1" | "$1"/* | */pgbouncer) kill -KILL "${process#/proc/}" && found=yes ;;
      esac
    fi
  done
}

# What is just being born escapes us once, and may write while we remove; so we look again until the directory is gone. It goes
# last: who sees it gone knows that all that ran is gone. There is a bound, so that a process that cannot die does not keep us.
round=0
while [ -e "$directory" ] && [ "$round" -lt 1000 ]; do
  [ "$round" = 0 ] || sleep 0.01
  round=$((round + 1))
  end_programs "$2"
  if [ -z "$found" ]; then
    # A killed PostgreSQL leaves a segment of System V shared memory. Its id stands at the end of the seventh line.
    segment=$(sed -n '7s/.* //p' data/postmaster.pid)
    [ -z "$segment" ] || ipcrm -m "$segment"
    rm -rf "$directory"
  fi
done
# A Redis that writes nothing would not mind that its directory went while it was being born. One that is born later still
# finds no configuration, and ends.
end_programs "$2"
