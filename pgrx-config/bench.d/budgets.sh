# Budgets asked before calls, and reserved and settled, while others write; sourced by bench.
budget_seconds=${BUDGET_SECONDS:-10}

# In the background, until it is killed: as the worker does.
fold_each_second() { echo 'SELECT llm_usage.fold() \watch 1' | "$bin/psql" -qX >/dev/null 2>&1 & folder=$!; }

# So many rows a second of a writer of its own.
write_at() {
  "$bin/pgbench" -n -M prepared -c 1 -T 3600 -R "$1" -D apps=200 -f "$files/write.sql" >/dev/null 2>&1 &
  writer=$!
}

# check_latencies WHAT FILE OPTIONS…: in ms, without the first of them.
check_latencies() {
  what=$1 file=$root/pgrx-config/bench.d/budgets/$2 warm=$3
  shift 3
  "$bin/pgbench" -n -M prepared "$@" -l --log-prefix="$files/log" -f "$file" >/dev/null 2>"$files/error" ||
    { cat "$files/error" >&2; fail "$what: $file failed"; }
  cat "$files"/log.* | awk -v warm="$warm" 'NR > warm && $3 > 0 { print $3 }' | sort -n |
    awk -v what="$what" '{ us[NR] = $1 } END { printf "check|%s|%.3f|%.3f\n", what, us[int((NR + 1) / 2)] / 1000, us[int(NR * 0.99 + 0.99)] / 1000 }' |
    tee -a "$results" >&2
  rm -f "$files"/log.*
}

# reserve_rate WHAT FIRST_APP LAST_APP: calls a second.
reserve_rate() {
  for commit in off on; do
    PGOPTIONS="-c synchronous_commit=$commit" "$bin/pgbench" -n -M prepared -c "$clients" -j 2 -T "$budget_seconds" \
      -D first_app="$2" -D last_app="$3" -f "$root/pgrx-config/bench.d/budgets/reserve-settle.sql" 2>"$files/error" |
      awk -v what="$1" -v commit="$commit" '/^tps = / { printf "reserve|%s|%s|%d\n", what, commit, $3; done = 1 } END { exit !done }' |
      tee -a "$results" >&2 || { cat "$files/error" >&2; fail "$1: reserving failed"; }
  done
}

budgets() {
  say "budgets: $budget_seconds s each, $clients clients reserve"
  run -f "$root/pgrx-config/bench.d/budgets/budgets.sql" >/dev/null
  sed 's/INTO usage_events/INTO llm_usage.usage_events/' "$root/pgrx-config/bench.d/writes/one.sql" >"$files/write.sql"
  run -c "ALTER SYSTEM SET autovacuum = on" -c "SELECT pg_reload_conf()" >/dev/null
  fold_each_second
  check_latencies "nobody else writes" check.sql 100 -T "$budget_seconds"
  check_latencies "of an attribute" check-attribute.sql 100 -T "$budget_seconds"
  check_latencies "budget_status, all of them" status.sql 1 -t 6
  for rate in 1000 5000; do
    write_at "$rate"
    check_latencies "$rate rows a second are written" check.sql 100 -T "$budget_seconds"
    check_latencies "$rate rows, of an attribute" check-attribute.sql 100 -T "$budget_seconds"
    check_latencies "$rate rows, budget_status, all of them" status.sql 1 -t 6
    kill "$writer"
  done
  reserve_rate "1,000 budgets" 1 1000
  reserve_rate "one budget, far from its limit" 10001 10001
  reserve_rate "one budget, near its limit" 10002 10002
  reserve_rate "one soft budget" 10003 10003
  kill "$folder"
  run -c "ALTER SYSTEM SET autovacuum = off" -c "SELECT pg_reload_conf()" >/dev/null
  [ "$(run -c "SELECT count(*) FROM llm_usage._held")" = 0 ] || fail "holds are left"
}
