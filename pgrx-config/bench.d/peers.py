"""The questions to DuckDB and ClickHouse over the same data, exported as CSV: `report|question|peer|median|p99`, in ms.

Without arguments: which of the two are installed.
"""

import math
import shutil
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

RUNS, WARM = 40, 5
EVENTS = {
    "occurred_at": "timestamp", "app_id": "bigint", "llm_id": "bigint", "model": "text", "prompt_tokens": "bigint",
    "cache_read_tokens": "bigint", "completion_tokens": "bigint", "inference_tokens": "bigint", "rule_type": "text",
    "cost": "numeric",
}
TABLES = {
    "usage_events": EVENTS,
    "sessions": {"started_at": "timestamp", "app_id": "bigint", "consumer_id": "text"},
    "messages": {"sent_at": "timestamp", "app_id": "bigint"},
}
ODD = "INTERVAL '10 hours 17 minutes 33 seconds 123456 microseconds'"
CLICKHOUSE_TYPES = {
    "timestamp": "DateTime64(6, 'UTC')", "bigint": "Int64", "text": "LowCardinality(Nullable(String))", "numeric": "Decimal(18, 9)",
}


def duckdb(files, until):
    import duckdb

    db = duckdb.connect(str(files / "duckdb"))
    db.execute("SET TimeZone = 'UTC'")
    db.execute(f"CREATE MACRO instant(n) AS TIMESTAMP '{until} 00:00:00' - to_days(n)")
    db.execute(f"CREATE MACRO off_grid(n) AS instant(n) + {ODD}")
    month = datetime.now(timezone.utc).strftime("%Y-%m-01")
    db.execute(f"CREATE MACRO month_start() AS TIMESTAMP '{month} 00:00:00'")
    for table, columns in TABLES.items():
        types = {name: "decimal(18, 9)" if kind == "numeric" else "timestamptz" if kind == "timestamp" else kind
                 for name, kind in columns.items()}
        at = next(iter(columns))
        db.execute(f"CREATE TABLE {table} AS SELECT * REPLACE ({at}::timestamp AS {at})"
                   f" FROM read_csv('{files / table}.csv', columns = {types}) ORDER BY app_id, {at}")
    return lambda sql: db.execute(sql).fetchall()


def clickhouse(files, until):
    from chdb.session import Session

    db = Session(str(files / "clickhouse"))
    db.query("CREATE DATABASE bench")
    instant = f"toDateTime64('{until} 00:00:00', 6, 'UTC') - toIntervalDay(n)"
    db.query(f"CREATE FUNCTION instant AS (n) -> {instant}")
    db.query(f"CREATE FUNCTION off_grid AS (n) -> addMicroseconds({instant}, 37053123456)")
    db.query("CREATE FUNCTION month_start AS () -> toStartOfMonth(now('UTC'))")
    for table, columns in TABLES.items():
        types = {name: CLICKHOUSE_TYPES[kind] for name, kind in columns.items()}
        listed = ", ".join(f"{name} {kind}" for name, kind in types.items())
        db.query(f"CREATE TABLE bench.{table} ({listed}) ENGINE = MergeTree ORDER BY (app_id, {next(iter(columns))})")
        quoted = listed.replace("'", "\\'")
        db.query(f"INSERT INTO bench.{table} SELECT * FROM file('{files / table}.csv', 'CSV', '{quoted}')"
                 " SETTINGS date_time_input_format = 'best_effort'")
        db.query(f"OPTIMIZE TABLE bench.{table} FINAL")
    db.query("USE bench")
    return lambda sql: db.query(sql, "CSV")


PEERS = {"duckdb": ("duckdb", duckdb), "clickhouse": ("chdb", clickhouse)}


def section(file, name):
    lines, on = [], False
    for line in file.read_text().splitlines():
        if line.startswith("-- "):
            on = line == f"-- {name}"
        elif on:
            lines.append(line)
    return "\n".join(lines).rstrip(";")


def measure(ask, sql):
    times = []
    for _ in range(RUNS + WARM):
        began = time.perf_counter()
        ask(sql)
        times.append((time.perf_counter() - began) * 1000)
    times = sorted(times[WARM:])
    return times[(RUNS - 1) // 2], times[math.ceil(RUNS * 0.99) - 1]


def installed():
    found = []
    for peer, (module, _) in PEERS.items():
        try:
            __import__(module)
            found.append(peer)
        except ImportError:
            pass
    return found


def main():
    if len(sys.argv) == 1:
        print(" ".join(installed()))
        return
    questions, files, until = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    for peer in installed():
        ask = PEERS[peer][1](files, until)
        for question in sorted(questions.glob("*.sql")):
            median, p99 = measure(ask, section(question, peer))
            print(f"report|{question.name}|{peer}|{median:.3f}|{p99:.3f}", flush=True)
    for peer in PEERS:
        shutil.rmtree(files / peer, ignore_errors=True)
        (files / peer).unlink(missing_ok=True)


main()
