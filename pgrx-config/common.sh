# Sourced by every script here: names, places, and the few functions they share.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
major=${PG_MAJOR:-15}
pgrx_version=0.18.1
system_pg=/usr/lib/postgresql/$major

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then
  as_postgres() { (cd / && runuser -u postgres -- "$@"); }
else
  as_postgres() { "$@"; }
fi

# Whether any user can enter a directory, or the nearest one above that is there.
anyone_enters() (
  directory=$1
  while [ "$directory" != / ]; do
    case $(stat -c %A "$directory" 2>/dev/null || echo dx) in d*[xt]) ;; *) return 1 ;; esac
    directory=$(dirname "$directory")
  done
)

# Everything that runs lives under target/, unless the server's user cannot get there (a clone below /root).
target=${CARGO_TARGET_DIR:-$root/target}
if [ "$(id -u)" != 0 ] || anyone_enters "$target"; then
  work=$target/pg$major
else
  work=/var/tmp/llm_usage-$(printf %s "$root" | cksum | cut -d' ' -f1)/pg$major
fi

# A private copy of the server, found by its own path: nothing is installed into the system's PostgreSQL.
tree=$work/postgresql
bin=$tree/lib/postgresql/$major/bin
pg_config=$bin/pg_config
export PGRX_HOME=$work/pgrx
export PGRX_PG_CONFIG_PATH=$pg_config

tools=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/llm_usage/cargo-pgrx-$pgrx_version
PATH=$tools/bin:$PATH

# What HTTP needs beside the server.
standin_version=3.1.0
standin=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/llm_usage/postrust-$standin_version
nginx=$(PATH=$PATH:/usr/sbin command -v nginx || find "$work/nginx/usr/sbin" -name nginx 2>/dev/null || true)
clients=$work/clients
sudo=""
[ "$(id -u)" = 0 ] || sudo=$(command -v sudo || true)

# install_python REQUIREMENTS DIRECTORY: a virtual environment with these packages, once.
install_python() {
  ! cmp -s "$1" "$2/requirements.txt" || return 0
  say "installing $(grep -v '^#' "$1" | paste -sd ' ')"
  rm -rf "$2"
  python3 -m venv "$2"
  "$2/bin/python" -m pip install --quiet --disable-pip-version-check -r "$1"
  cp "$1" "$2/"
}

# unpack_package PACKAGE DIRECTORY: what a package of Debian's holds, without installing it.
unpack_package() {
  mkdir -p "$2"
  (cd "$2" && rm -f "$1"_*.deb && { apt-get -qq download "$1" 2>/dev/null ||
    { $sudo apt-get update -qq && apt-get -qq download "$1"; }; } && dpkg-deb -x "$1"_*.deb .)
}

# start_cluster DIRECTORY [OPTIONS]: initdb once, then start; sockets only, in a directory that only this user can enter.
start_cluster() {
  # A server that has it appends a backtrace to the DETAIL of errors.
  unset RUST_BACKTRACE
  if [ ! -s "$1/data/PG_VERSION" ]; then
    rm -rf "$1"
    mkdir -p "$1"
    [ "$(id -u)" != 0 ] || chown postgres "$1"
    chmod 700 "$1"
    as_postgres "$bin/initdb" -D "$1/data" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 >"$1.initdb.log"
    as_postgres sh -c "cat >>'$1/data/postgresql.conf'" <"$root/pgrx-config/postgresql.conf"
  fi
  socket_directory "$1"
  as_postgres "$bin/pg_ctl" -D "$1/data" status >/dev/null ||
    as_postgres "$bin/pg_ctl" -D "$1/data" -l "$1/log" -w start \
      -o "-c listen_addresses='' -c unix_socket_directories='$socket' ${2:-}" >/dev/null ||
    { tail -n 20 "$1/log" >&2; fail "the server in $1 did not start"; }
  export PGHOST=$socket PGUSER=postgres PGDATABASE=postgres PGPORT=5432
  unset PGPASSWORD PGSERVICE PGOPTIONS
}

stop_cluster() { as_postgres "$bin/pg_ctl" -D "$1/data" -m fast -w stop >/dev/null 2>&1 || true; }

# A socket's path has at most 107 bytes, which a deep checkout exceeds.
socket_directory() {
  socket=$1
  if [ ${#socket} -gt 80 ]; then
    socket=/tmp/llm_usage-$(printf %s "$1" | cksum | cut -d' ' -f1)
    mkdir -p "$socket"
    [ "$(id -u)" != 0 ] || chown postgres "$socket"
    chmod 700 "$socket"
  fi
}
