-- So many :sessions in the last :hours, of 500 consumers, and as many messages.
WITH begun AS (
  INSERT INTO llm_usage.sessions (started_at, app_id, consumer_id)
  SELECT bench.instant(0) - (:sessions + 1 - n) * (make_interval(hours => :hours) / (:sessions + 1)),
         width_bucket(bench.chance(n, 11), (SELECT s.apps FROM bench.shares s)) + 1, 'consumer-' || floor(bench.chance(n, 12) * 500)
    FROM generate_series(1, :sessions) n
  RETURNING id, app_id, started_at
)
INSERT INTO llm_usage.messages (sent_at, app_id, session_id)
SELECT b.started_at + bench.chance(b.id, 13) * (bench.instant(0) - b.started_at) / 1000, b.app_id, b.id
  FROM begun b;
