# The ledgers with their data, folded; sourced by bench.

# load DATABASE EVENTS: its last million, or tenth, is folded by itself.
load() {
  run -d postgres -c "CREATE DATABASE $1"
  export PGDATABASE="$1"
  run -f "$root/pgrx-config/bench.d/data.sql" -f "$root/pgrx-config/bench.d/load.sql" >/dev/null
  last=$(($2 / 10 < 1000000 ? $2 / 10 : 1000000))
  say "$1: $2 events"
  took=$(load_events 1 $(($2 - last)) "$2")
  say "$1: loaded in $took ms"
  folded "$1" $(($2 - last)) "fold of the load"
  load_events $(($2 - last + 1)) "$2" "$2" >/dev/null
  folded "$1" "$last" "fold of the last $last alone"
  run -v sessions=$(($2 / 10)) -v hours=2160 -f "$root/pgrx-config/bench.d/chat.sql"
  folded "$1" $(($2 / 10 * 2)) "fold of sessions and messages"
  run -c "VACUUM ANALYZE" -c "CHECKPOINT"
}

# load_events FIRST LAST OF: their places in the 90 days are those that they have among so many.
load_events() {
  timed -c "SET synchronous_commit = off" -c "INSERT INTO llm_usage.usage_events
    (occurred_at, app_id, llm_id, user_id, vendor, model, prompt_tokens, cache_read_tokens, completion_tokens, inference_tokens,
     rule_type, task_id, cost)
    SELECT * FROM bench.events($1, $2, bench.instant(90), 7776000.0 / $3)"
}

# folded DATABASE ROWS NAME
folded() {
  took=$(timed -c "SELECT llm_usage.fold()")
  say "$1: $3: $2 rows in $took ms"
  [ "$1" = ten ] || note "fold|$3|$2|$took"
}

sizes() { run -f "$root/pgrx-config/bench.d/sizes.sql" -v events="$events" >>"$results"; }
