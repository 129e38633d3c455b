# Rows a second of many writers, against the same table without the extension; sourced by bench.
copied=1000000

prepare_writes() {
  run -d postgres -c "CREATE DATABASE empty"
  run -d empty -f "$root/pgrx-config/bench.d/writes.sql" >/dev/null
}

# Each measurement begins with the same empty tables, and after a checkpoint, which dropping a database makes.
fresh() {
  run -d postgres -c "SET client_min_messages = error" -c "DROP DATABASE IF EXISTS filled WITH (FORCE)" \
    -c "CREATE DATABASE filled TEMPLATE empty"
  export PGDATABASE=filled
}

# rate SCHEMA SCRIPT APPS: rows a second.
rate() {
  case $2 in one*) each=1 ;; *) each=100 ;; esac
  PGOPTIONS="-c synchronous_commit=$commit -c search_path=$1,pg_catalog" "$bin/pgbench" -n -M prepared -c "$clients" -j 2 \
    -T "$seconds" -D apps="$3" -f "$root/pgrx-config/bench.d/writes/$2.sql" 2>"$files/error" |
    awk -v each=$each '/^tps = / { printf "%d\n", $3 * each; done = 1 } END { exit !done }' ||
    { cat "$files/error" >&2; fail "$1: $2 failed"; }
}

# One kind of write; what it is called in the table is in table.awk.
write_rate() {
  fresh
  case $1 in
    plain) rate plain "$rows" 200 ;;
    plain_one_app) rate plain "$rows" 1 ;;
    plain_key) rate plain "$rows-key" 200 ;;
    recorded) rate llm_usage "$rows-function" 200 ;;
    keyed) rate llm_usage "$rows-keyed" 200 ;;
    retried)
      for any in $(seq 100); do
        sed -e 1d -e "s/:any/$any/g" "$root/pgrx-config/bench.d/writes/hundred-retried.sql"
      done | PGOPTIONS="-c search_path=llm_usage,pg_catalog" run >/dev/null
      rate llm_usage "$rows-retried" 200 ;;
    response) rate llm_usage "$rows-response" 200 ;;
    triggered) rate triggered "$rows" 200 ;;
    given) rate llm_usage "$rows" 200 ;;
    priced) rate llm_usage "$rows-priced" 200 ;;
    counters) rate counters "$rows" 200 ;;
    counters_one_app) rate counters "$rows" 1 ;;
    folded)
      echo 'SELECT llm_usage.fold() \watch 1' | "$bin/psql" -qX >/dev/null 2>&1 &
      folder=$!
      rate llm_usage "$rows" 200
      kill "$folder" ;;
  esac
}

# The plain table stands on both sides of each of the others, so that a drift of the machine's speed cancels out.
against() {
  plain=$1
  shift
  before=$(write_rate "$plain")
  for what in "$@"; do
    it=$(write_rate "$what")
    after=$(write_rate "$plain")
    note "write|$rows|$commit|$what|$it|$(((before + after) / 2))"
    echo "round $round, $rows row(s), synchronous_commit $commit: $before plain, $it $what, $after plain (rows a second)" >&2
    before=$after
  done
}

writes() {
  say "writes: $rounds rounds of $seconds s, $clients clients"
  rows=one commit=off round=0
  write_rate plain >/dev/null
  for round in $(seq "$rounds"); do
    for rows in one hundred; do
      for commit in off on; do
        against plain triggered given recorded priced folded counters
        against plain_one_app counters_one_app
        against plain_key keyed retried response
      done
    done
  done
}

copies() {
  say "COPY of $copied rows"
  run -d postgres -c "CREATE DATABASE generated"
  as_postgres mkdir -p "$cluster/copy"
  columns="occurred_at, app_id, llm_id, user_id, vendor, model, prompt_tokens, cache_read_tokens, completion_tokens,
    inference_tokens, rule_type, task_id, cost"
  run -d generated -f "$root/pgrx-config/bench.d/data.sql" \
    -c "COPY (SELECT * FROM bench.events(1, $copied, now() - interval '1 day', 86400.0 / $copied)) TO '$cluster/copy/events'"
  run -d postgres -c "DROP DATABASE generated"
  for round in $(seq "$rounds"); do
    before=$(copy_time plain)
    it=$(copy_time llm_usage)
    after=$(copy_time plain)
    echo "$before $it $after" |
      awk -v rows="$copied" '{ printf "copy|%d|%d\n", rows / $2 * 1000, rows / (($1 + $3) / 2) * 1000 }' |
      tee -a "$results" >&2
  done
}

copy_time() {
  fresh
  timed -c "SET synchronous_commit = off" -c "COPY $1.usage_events ($columns) FROM '$cluster/copy/events'"
}
