-- Is the extension here, may this session write, and is no restore under way? A restored ledger must not be folded before
-- its rollups are restored, too. Without the extension anyone might have made a schema and a function of these names, and
-- the worker is superuser; with it the schema is the extension's. The terms are asked in this order, up to the first false.
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'llm_usage')
   AND to_regprocedure('llm_usage.fold(interval, bigint)') IS NOT NULL
   AND NOT current_setting('transaction_read_only')::boolean
   AND NOT EXISTS (SELECT FROM pg_stat_activity
                    WHERE datname = current_database() AND starts_with(application_name, 'pg_restore')
                      -- Anybody can call himself so; only who owns the ledger can restore it.
                      AND pg_has_role(usesysid, (SELECT extowner FROM pg_extension WHERE extname = 'llm_usage'), 'MEMBER'))
