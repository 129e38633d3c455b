WITH grouped AS (
  SELECT CASE WHEN $3 THEN a.rule_type END AS rule_type, a.task_id, sum(a.inference_tokens) AS inference,
         sum(a.input_tokens) AS eval_prompt, sum(a.completion_tokens) AS eval_completion
    FROM llm_usage._by_rule($1, $2) a
   GROUP BY 1, 2
)
SELECT g.rule_type, g.task_id, g.inference::text, g.eval_prompt::text, g.eval_completion::text
  FROM grouped g
 ORDER BY g.rule_type COLLATE "C" NULLS LAST, g.task_id COLLATE "C" NULLS LAST
