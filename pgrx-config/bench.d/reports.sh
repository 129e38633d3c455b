# Each question, asked by one client over the socket; sourced by bench.
questions=$root/pgrx-config/bench.d/questions

# section FILE NAME: the statement under that comment.
section() { awk -v name="-- $2" '/^-- / { on = $0 == name; next } on' "$1"; }

# latencies FILE NAME RUNS: µs of each, one a line. The first runs make plans and fill caches, and do not count; pgbench writes 0
# when it was kept from looking at the clock before the answer came.
latencies() {
  section "$1" "$2" >"$files/question"
  warm=$(($3 / 20 + 6))
  "$bin/pgbench" -n -M prepared -t $(($3 + warm)) -l --log-prefix="$files/log" -f "$files/question" >/dev/null 2>"$files/error" ||
    { cat "$files/error" >&2; fail "$1: $2 failed"; }
  cat "$files"/log.* | awk -v warm="$warm" 'NR > warm && $3 > 0 { print $3 }'
  rm -f "$files"/log.*
}

# measure_report FILE WHO SECTION RUNS: in ms, median and 99th percentile.
measure_report() {
  latencies "$1" "$3" "$4" >"$files/latencies"
  summary "$(basename "$1")" "$2" <"$files/latencies"
}
summary() {
  sort -n | awk -v what="report|$1|$2" '{ us[NR] = $1 }
    END { printf "%s|%.3f|%.3f\n", what, us[int((NR + 1) / 2)] / 1000, us[int(NR * 0.99 + 0.99)] / 1000 }' | tee -a "$results" >&2
}

# Ours, the one by hand, and ours as a tenant asks it in short turns, so that a drift of the machine's speed falls on all.
in_turns() {
  turns=12
  rm -f "$files"/ours "$files"/hand "$files"/tenant
  for turn in $(seq "$turns"); do
    for who in ours hand; do latencies "$1" "$who" $((runs / turns)) >>"$files/$who"; done
    (export PGOPTIONS="-c role=bench_tenant" && latencies "$1" ours $((runs / turns))) >>"$files/tenant"
  done
  for who in ours hand tenant; do summary "$(basename "$1")" "$who" <"$files/$who"; done
}

# All must give the same document.
agree() {
  {
    echo "SELECT ours.answer = hand.answer AND ours.answer = ledger.answer FROM"
    comma=""
    for who in ours hand ledger; do
      echo "$comma (SELECT answer::jsonb FROM ("
      section "$1" "$who" | sed 's/;$//'
      echo ") a (answer)) $who"
      comma=,
    done
  } >"$files/agree.sql"
  [ "$(run -f "$files/agree.sql")" = t ] || fail "$1: the answers differ"
}

reports() {
  say "rollups by hand"
  run -f "$root/pgrx-config/bench.d/hand.sql" -c "VACUUM ANALYZE" -c "CHECKPOINT"
  say "reports"
  # The tenant whose only app is the busiest.
  run -c "CREATE ROLE bench_tenant" -c "GRANT USAGE ON SCHEMA bench TO bench_tenant" \
    -c "SELECT llm_usage.grant_access('bench_tenant', 'reader'), llm_usage.enable_row_security('bench_tenant', '1')" >/dev/null
  for question in "$questions"/*.sql; do
    note "question|$(basename "$question")|$(sed -n '1s/-- //p' "$question")|$(sed -n '2s/-- goal //p' "$question")"
    agree "$question"
    in_turns "$question"
    measure_report "$question" ledger ledger "$ledger_runs"
  done
  run -c "SELECT llm_usage.disable_row_security('bench_tenant')" -c "DROP OWNED BY bench_tenant" -c "DROP ROLE bench_tenant" >/dev/null
  peers
  say "reports over $tail_events events that are not folded"
  load_tail
  for question in "$questions"/*.sql; do measure_report "$question" tail ours $((runs / 4)); done
}

# As the last of all, and in proportion sessions and messages.
load_tail() {
  load_events $((events - tail_events + 1)) "$events" "$events" >/dev/null
  run -v sessions=$((tail_events / 10)) -v hours=2 -f "$root/pgrx-config/bench.d/chat.sql"
}

reports_times_ten() {
  say "reports over $((events * 10)) events"
  for question in "$questions"/*.sql; do measure_report "$question" ten ours "$runs"; done
}

export_csv() { run -c "COPY (SELECT $2 FROM llm_usage.$1) TO STDOUT (FORMAT csv)" >"$files/$1.csv"; }

peers() {
  python=python3
  if [ -n "${PEERS:-}" ]; then
    python=$target/bench-peers/bin/python
    [ -x "$python" ] || python3 -m venv "$target/bench-peers"
    "$python" -c 'import chdb, duckdb' 2>/dev/null ||
      "$python" -m pip install --quiet --disable-pip-version-check duckdb chdb-core
  fi
  found=$("$python" "$root/pgrx-config/bench.d/peers.py" 2>/dev/null || true)
  if [ -z "$found" ]; then
    note "peers|DuckDB and ClickHouse were not asked: their Python packages are not installed (PEERS=1 installs them)"
    return 0
  fi
  say "the same questions to $found"
  export_csv usage_events "occurred_at, app_id, llm_id, model, prompt_tokens, cache_read_tokens, completion_tokens, inference_tokens,
    rule_type, cost"
  export_csv sessions "started_at, app_id, consumer_id"
  export_csv messages "sent_at, app_id"
  "$python" "$root/pgrx-config/bench.d/peers.py" "$questions" "$files" "$until" | tee -a "$results" >&2
  rm -f "$files"/*.csv
}
