-- A month of a rebuild that was begun.
SELECT llm_usage.rebuild(1) WHERE EXISTS (SELECT FROM llm_usage._rebuild WHERE NOT rebuilt)
