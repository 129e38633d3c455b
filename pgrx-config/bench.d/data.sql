-- Events that are the same in every run, counted back from :until: a number's hash stands for chance, so that any part of them
-- can be made alone and in any order. Apps and models follow Zipf's law: app 1 and model 1 are the busiest.
CREATE SCHEMA bench;
CREATE FUNCTION bench.chance(number bigint, which bigint) RETURNS double precision
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (hashint8extended(number, which) & 4503599627370495) / 4503599627370496::double precision;

-- Bounds of the questions: so many days before the end, and an instant within that day.
SELECT format('CREATE FUNCTION bench.instant(days integer) RETURNS timestamptz LANGUAGE sql IMMUTABLE
                 RETURN timestamptz %L - days * interval ''24 hours''', :'until' || ' 00:00:00+00'),
       'CREATE FUNCTION bench.off_grid(days integer) RETURNS timestamptz LANGUAGE sql IMMUTABLE
          RETURN bench.instant(days) + interval ''10:17:33.123456''',
       'CREATE FUNCTION bench.day(days integer) RETURNS date LANGUAGE sql IMMUTABLE
          RETURN (bench.instant(days) AT TIME ZONE ''UTC'')::date'
\gexec

-- Prices in 10^-9 of a dollar.
CREATE TABLE bench.models (
  number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, vendor text, model text, input integer, cached integer, output integer);
INSERT INTO bench.models (vendor, model, input, cached, output) VALUES
  ('openai', 'gpt-4.1-mini-2025-04-14', 400, 100, 1600),
  ('openai', 'gpt-4o-mini-2024-07-18', 150, 75, 600),
  ('anthropic', 'claude-sonnet-4-20250514', 3000, 300, 15000),
  ('google', 'gemini-2.5-flash', 300, 75, 2500),
  ('openai', 'gpt-4o-2024-08-06', 2500, 1250, 10000),
  ('anthropic', 'claude-3-5-haiku-20241022', 800, 80, 4000),
  ('openai', 'gpt-4.1-2025-04-14', 2000, 500, 8000),
  ('google', 'gemini-2.0-flash', 100, 25, 400),
  ('openai', 'text-embedding-3-small', 20, 20, 0),
  ('mistral', 'mistral-small-2503', 100, 100, 300),
  ('openai', 'gpt-4.1-nano-2025-04-14', 100, 25, 400),
  ('google', 'gemini-2.5-pro', 1250, 310, 10000),
  ('anthropic', 'claude-opus-4-20250514', 15000, 1500, 75000),
  ('openai', 'o4-mini-2025-04-16', 1100, 275, 4400),
  ('deepseek', 'deepseek-chat', 270, 70, 1100),
  ('openai', 'o3-2025-04-16', 2000, 500, 8000),
  ('deepseek', 'deepseek-reasoner', 550, 140, 2190),
  ('mistral', 'mistral-large-2411', 2000, 2000, 6000),
  ('xai', 'grok-3', 3000, 750, 15000),
  ('cohere', 'command-r-plus-08-2024', 2500, 2500, 10000);

CREATE FUNCTION bench.zipf(ranks integer) RETURNS double precision[]
  LANGUAGE sql IMMUTABLE
  RETURN (SELECT array_agg(s.share ORDER BY s.rank)
            FROM (SELECT rank, (sum(1.0 / rank) OVER (ORDER BY rank) / sum(1.0 / rank) OVER ())::double precision AS share
                    FROM generate_series(1, ranks) rank) s);
CREATE TABLE bench.shares AS SELECT bench.zipf(200) AS apps, bench.zipf(20) AS models;

-- Events first_number to last_number, of which the first is at begins and each next one a step (in seconds) later. One in fifty
-- is written up to three days late, one in twenty is an evaluation.
CREATE FUNCTION bench.events(first_number bigint, last_number bigint, begins timestamptz, step double precision)
  RETURNS TABLE (occurred_at timestamptz, app_id bigint, llm_id bigint, user_id bigint, vendor text, model text,
                 prompt_tokens integer, cache_read_tokens integer, completion_tokens integer, inference_tokens integer,
                 rule_type text, task_id text, cost numeric)
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT to_timestamp(e.at - CASE WHEN e.late < 0.02
                                    THEN e.late * 50 * least(e.at - extract(epoch FROM begins)::double precision, 259200)
                                    ELSE 0 END),
           e.app, e.model, e.usr, m.vendor, m.model, e.prompt, e.cached, e.completion,
           CASE WHEN e.rule IS NULL THEN 0 ELSE e.prompt / 2 END, e.rule,
           CASE WHEN e.rule IS NOT NULL THEN 'task-' || e.usr % 20 END,
           (e.prompt * m.input::bigint + e.cached * m.cached + e.completion * m.output) * 0.000000001
      FROM (SELECT extract(epoch FROM begins)::double precision + (n - 1) * step AS at,
                   width_bucket(bench.chance(n, 1), (SELECT s.apps FROM bench.shares s)) + 1 AS app,
                   width_bucket(bench.chance(n, 2), (SELECT s.models FROM bench.shares s)) + 1 AS model,
                   1 + floor(bench.chance(n, 3) * 500)::integer AS usr,
                   floor(bench.chance(n, 4) * 3000)::integer AS prompt,
                   floor(greatest(bench.chance(n, 5) - 0.7, 0) * 6000)::integer AS cached,
                   floor(bench.chance(n, 6) * 800)::integer AS completion,
                   bench.chance(n, 7) AS late,
                   (ARRAY['hallucination', 'pii', 'prompt_injection', 'toxicity', 'sensitive_data'])
                     [1 + floor(bench.chance(n, 8) * 100)::integer] AS rule
              FROM generate_series(first_number, last_number) n
            OFFSET 0) e
      JOIN bench.models m ON m.number = e.model;
  END;
