# Reads until the test process ends, however it ends; then stops its server and removes its files.
# Arguments: the data's directory, the socket's directory, and the command that stops the server.
trap '' HUP INT TERM
directory=$1
socket=$2
shift 2
cat >/dev/null
"$@" >/dev/null 2>&1
# A server that is just starting may still write.
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$directory" "$socket" && break
  sleep 0.2
done
