# The lines that the parts of the bench note, as one table.
BEGIN { FS = "|" }
function median(values, n,   i, j, t) {
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && values[j - 1] > values[j]; j--) { t = values[j]; values[j] = values[j - 1]; values[j - 1] = t }
  return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
}
function number(format, value) { return value == "" ? "-" : sprintf(format, value) }
function ratio(a, b) { return a == "" || b == "" || b == 0 ? "-" : sprintf(a / b < 20 ? "%.2f" : "%.0f", a / b) }
function thousands(n,   s) { s = sprintf("%d", n); while (s ~ /[0-9][0-9][0-9][0-9]/) sub(/[0-9][0-9][0-9]($|,)/, ",&", s); return s }

$1 == "question" { order[++questions] = $2; name[$2] = $3; goal[$2] = $4 }
$1 == "report" { ms[$2, $3] = $4; p99[$2, $3] = $5 }
$1 == "peers" { peers = $2 }
$1 == "fold" { folds[++fold] = $2; fold_rows[fold] = $3; fold_ms[fold] = $4 }
$1 == "size" { sizes[++size] = $2; bytes[size] = $3 }
$1 == "check" { checks[++check] = $2; check_ms[check] = $3; check_p99[check] = $4 }
$1 == "reserve" { if (!($2 in reserved)) reserves[++reserve] = $2; reserved[$2] = 1; rate[$2, $3] = $4 }
$1 == "copy" { copied[++copy] = $2; copied_plain[copy] = $3; copy_times[copy] = $3 / $2 }
$1 == "write" {
  n = ++writes[$2, $3, $4]
  written[$2, $3, $4, n] = $5
  times[$2, $3, $4, n] = $6 / $5
  base = $4 == "counters_one_app" ? "plain_one_app" : $4 == "keyed" || $4 == "response" ? "plain_key" : "plain"
  written[$2, $3, base, ++writes[$2, $3, base]] = $6
  any_writes = 1
}

function goals(q,   missed) {
  if (goal[q] != "-" && ms[q, "ours"] > goal[q]) missed = "time"
  if (ms[q, "ours"] > 1.5 * ms[q, "hand"]) missed = missed (missed ? ", " : "") "by hand"
  if (ms[q, "tenant"] > 1.3 * ms[q, "ours"]) missed = missed (missed ? ", " : "") "tenant"
  return missed ? "missed: " missed : "met"
}
function reports(   i, q) {
  printf "%-50s %6s %8s %8s %9s %9s %8s %7s %8s %7s %9s %7s %8s %9s %10s  %s\n", "report, ms", "goal", "median", "p99", "unfolded", "its p99", \
    "by hand", "ratio", "tenant", "ratio", "plain SQL", "ratio", "x 10", "DuckDB", "ClickHouse", "goals"
  for (i = 1; i <= questions; i++) {
    q = order[i]
    printf "%-50s %6s %8s %8s %9s %9s %8s %7s %8s %7s %9s %7s %8s %9s %10s  %s\n", name[q], goal[q], number("%.2f", ms[q, "ours"]), \
      number("%.2f", p99[q, "ours"]), number("%.2f", ms[q, "tail"]), number("%.2f", p99[q, "tail"]), number("%.2f", ms[q, "hand"]), \
      ratio(ms[q, "ours"], ms[q, "hand"]), number("%.2f", ms[q, "tenant"]), ratio(ms[q, "tenant"], ms[q, "ours"]), number("%.1f", ms[q, "ledger"]), ratio(ms[q, "ledger"], ms[q, "ours"]), \
      ratio(ms[q, "ten"], ms[q, "ours"]), number("%.1f", ms[q, "duckdb"]), number("%.1f", ms[q, "clickhouse"]), goals(q)
  }
  printf "%s\n%s\n%s\n\n", "  unfolded: with " thousands(tail_events) " events behind the fold;" \
    " by hand: the narrowest rollup in plain SQL, stale, ratio ours to it; tenant: of the busiest app alone, ratio to ours;", \
    "  plain SQL: on the ledger, ratio it to ours; x 10: ours over ten times the events to ours;" \
    " goals: the time, 1.5 times by hand, a tenant 1.3 times.", \
    peers == "" ? "  DuckDB and ClickHouse sum only, and make no document." : "  " peers "."
}
function write_cell(rows, commit, kind,   i, n, rates, ratios) {
  n = writes[rows, commit, kind]
  for (i = 1; i <= n; i++) { rates[i] = written[rows, commit, kind, i]; ratios[i] = times[rows, commit, kind, i] }
  return sprintf(" %10s %6s", thousands(median(rates, n)), kind ~ /^plain/ ? "1.00" : sprintf("%.2f", median(ratios, n)))
}
function write_line(what, kind) {
  printf "%-50s%s%s%s%s\n", what, write_cell("one", "off", kind), write_cell("one", "on", kind), write_cell("hundred", "off", kind), \
    write_cell("hundred", "on", kind)
}
function write_table() {
  printf "%-50s %17s %17s %17s %17s\n", "rows a second, " clients " clients; time against plain", \
    "1 row, async", "1 row, sync", "100 rows, async", "100 rows, sync"
  write_line("plain table, same columns and indexes", "plain")
  write_line("plain table, a row trigger that never fires", "triggered")
  write_line("usage_events, cost given, checked", "given")
  write_line("record_usage, record_usage_batch, cost given", "recorded")
  write_line("usage_events, checked and priced", "priced")
  write_line("usage_events, cost given, a fold each second", "folded")
  write_line("plain table, a statement trigger counts", "counters")
  write_line("plain table, with a request_id", "plain_key")
  write_line("record_usage, record_usage_batch, with a key", "keyed")
  write_line("the same, all known from before", "retried")
  write_line("record_response, record_response_batch, priced", "response")
  write_line("plain table, all rows of one app", "plain_one_app")
  write_line("the same, a statement trigger counts", "counters_one_app")
}
END {
  printf "%s events in 90 days, medians\n\n", thousands(events)
  if (questions) reports()
  if (any_writes) write_table()
  if (copy) {
    printf "%-50s %10s %6s\n", "COPY, plain table", thousands(median(copied_plain, copy)), "1.00"
    printf "%-50s %10s %6.2f\n", "COPY, usage_events, cost given", thousands(median(copied, copy)), median(copy_times, copy)
  }
  if (any_writes || copy) print ""
  if (check) printf "%-50s %8s %8s\n", "check_budget of 10,000 budgets, ms", "median", "p99"
  for (i = 1; i <= check; i++) printf "%-50s %8.2f %8.2f\n", "  " checks[i], check_ms[i], check_p99[i]
  if (reserve) printf "%-50s %8s %8s\n", "reserve_budget and settle_budget a second, " clients " clients", "async", "sync"
  for (i = 1; i <= reserve; i++)
    printf "%-50s %8s %8s\n", "  " reserves[i], thousands(rate[reserves[i], "off"]), thousands(rate[reserves[i], "on"])
  if (check || reserve) print ""
  for (i = 1; i <= fold; i++) printf "%-50s %10s rows a second, one core\n", folds[i], thousands(fold_rows[i] / fold_ms[i] * 1000)
  for (i = 1; i <= size; i++) printf "%-50s %10s bytes an event\n", sizes[i], bytes[i]
}
