//! The functions and views behind the reports, each compared with a plain recount of the ledgers in one statement.

use chrono::{DateTime, Utc};
use postgres::types::{Timestamp, Type};
use postgres::{Error, GenericClient};

use crate::focus::Bound;
use crate::ledger::Edge;

/// The rows of the ledgers, and those from $1 to $2. Materialized, so that no bound gets to the partitions: a snapshot that is
/// older than a partition still sees its rows where they were before.
const LEDGERS: &str = "
    ledger AS MATERIALIZED (
      SELECT e.occurred_at AS at, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, e.app_id, e.llm_id, e.user_id, e.vendor,
             e.model, e.currency, e.rule_type, e.task_id, r.request,
             CASE WHEN e.cost IS NULL THEN r.request ELSE 0 END AS unpriced,
             e.prompt_tokens::numeric + e.cache_read_tokens + e.cache_write_tokens AS input,
             e.completion_tokens::numeric AS completion, e.inference_tokens::numeric AS inference, coalesce(e.cost, 0) AS cost
        FROM llm_usage.usage_events e
       CROSS JOIN LATERAL (SELECT coalesce(e.requests, CASE WHEN e.corrects IS NULL THEN 1 ELSE 0 END)::integer AS request) r
    ), chats AS MATERIALIZED (
      SELECT s.started_at AS at, s.app_id, s.consumer_id, 1 AS session, 0 AS message FROM llm_usage.sessions s
      UNION ALL
      SELECT m.sent_at, m.app_id, NULL, 0, 1 FROM llm_usage.messages m
    ), asked AS (
      SELECT * FROM ledger l WHERE l.at >= coalesce($1, '-infinity') AND l.at < coalesce($2, 'infinity')
    ), asked_chats AS (
      SELECT * FROM chats c WHERE c.at >= coalesce($1, '-infinity') AND c.at < coalesce($2, 'infinity')
    )";

/// What answers, and what the ledgers say.
const RECOUNTS: [(&str, &str); 12] = [
    (
        "SELECT * FROM llm_usage.app_activity($3, $1, $2)",
        "SELECT day, app_id, llm_id, vendor, model, currency, sum(request), sum(unpriced), sum(input), sum(completion),
                sum(input + completion), sum(cost)
           FROM asked WHERE $3 IS NULL OR app_id = $3 GROUP BY 1, 2, 3, 4, 5, 6",
    ),
    (
        "SELECT * FROM llm_usage.model_activity($4, $1, $2)",
        "SELECT day, vendor, model, currency, sum(request), sum(unpriced), sum(input), sum(completion),
                sum(input + completion), sum(cost)
           FROM asked WHERE $4 IS NULL OR model = $4 GROUP BY 1, 2, 3, 4",
    ),
    (
        "SELECT * FROM llm_usage.model_activity_between(coalesce($4, 'gpt-4.1'), $5, $6)",
        "SELECT p.part, sum(request), sum(input), sum(completion)
           FROM generate_subscripts($5, 1) p (part)
           JOIN ledger l ON l.at >= $5[p.part] AND l.at < least($5[p.part + 1], $6)
          WHERE model = coalesce($4, 'gpt-4.1') GROUP BY 1
         HAVING (sum(request), sum(input), sum(completion)) <> (0, 0, 0)",
    ),
    (
        "SELECT * FROM llm_usage.user_activity($7, $1, $2)",
        "SELECT day, user_id, currency, sum(request), sum(unpriced), sum(input), sum(completion), sum(input + completion),
                sum(cost)
           FROM asked WHERE $7 IS NULL OR user_id = $7 GROUP BY 1, 2, 3",
    ),
    (
        "SELECT * FROM llm_usage.rule_activity($1, $2)",
        "SELECT day, rule_type, task_id, sum(request), sum(inference), sum(input), sum(completion)
           FROM asked WHERE rule_type IS NOT NULL GROUP BY 1, 2, 3",
    ),
    (
        "SELECT * FROM llm_usage.entity_activity($1, $2)",
        "SELECT day, type, id, currency, sum(request), sum(unpriced), sum(input + completion), sum(cost)
           FROM asked, LATERAL (VALUES ('App', app_id), ('LLM', llm_id)) n (type, id) WHERE id <> 0 GROUP BY 1, 2, 3, 4",
    ),
    (
        "SELECT * FROM llm_usage.session_activity($3, $1, $2)",
        "SELECT (at AT TIME ZONE 'UTC')::date, app_id, sum(session), sum(message)
           FROM asked_chats WHERE $3 IS NULL OR app_id = $3 GROUP BY 1, 2",
    ),
    (
        "SELECT llm_usage.session_consumers(coalesce($3, 1), $1, $2)",
        "SELECT count(DISTINCT consumer_id) FROM asked_chats WHERE app_id = coalesce($3, 1)",
    ),
    (
        "SELECT llm_usage.active_users($1, $2, $3)",
        "SELECT count(DISTINCT user_id) FROM asked WHERE request = 1 AND ($3 IS NULL OR app_id = $3)",
    ),
    (
        "SELECT day, users, users_7_days FROM llm_usage.active_users_by_day",
        "SELECT d.day, count(DISTINCT l.user_id) FILTER (WHERE l.day = d.day), count(DISTINCT l.user_id)
           FROM (SELECT DISTINCT day FROM ledger WHERE request = 1 AND user_id IS NOT NULL) d
           JOIN ledger l ON l.day > d.day - 7 AND l.day <= d.day AND l.request = 1 GROUP BY 1",
    ),
    (
        "SELECT day, currency, requests, total_tokens, cost FROM llm_usage.usage_by_day",
        "SELECT day, currency, sum(request), sum(input + completion), sum(cost) FROM ledger GROUP BY 1, 2",
    ),
    (
        "SELECT * FROM llm_usage.unpriced_models",
        "SELECT vendor, model, sum(unpriced), min(day), max(day)
           FROM (SELECT vendor, model, day, currency, sum(unpriced) AS unpriced FROM ledger GROUP BY 1, 2, 3, 4) d
          WHERE unpriced > 0 GROUP BY 1, 2",
    ),
];

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Range {
    pub from: Bound<DateTime<Utc>>,
    pub to: Bound<DateTime<Utc>>,
    pub app_id: Option<i64>,
    pub user_id: Option<i64>,
    pub model: Option<String>,
    /// Ascending.
    pub starts: Vec<DateTime<Utc>>,
    pub end: DateTime<Utc>,
}

/// A query of the ledgers as one of the relations of their names in another schema.
pub fn of_schema(query: &str, schema: &str) -> String {
    ["usage_events", "sessions", "messages"].iter().fold(query.to_owned(), |query, ledger| {
        query.replace(&format!("llm_usage.{ledger}"), &format!("{schema}.{ledger}"))
    })
}

/// Compares all functions with the ledgers, each in a statement of its own; returns how many were compared.
pub fn recount(client: &mut impl GenericClient, range: &Range) -> Result<u64, Error> {
    recount_of(client, "llm_usage", range)
}

/// The same, with the ledgers as a schema has them.
pub fn recount_of(client: &mut impl GenericClient, schema: &str, range: &Range) -> Result<u64, Error> {
    let ledgers = of_schema(LEDGERS, schema);
    for (answer, expected) in RECOUNTS {
        let query = format!(
            "WITH {ledgers}, answered AS ({answer}), expected AS ({expected})
             SELECT 'answered ' || a::text FROM (TABLE answered EXCEPT ALL TABLE expected) a
             UNION ALL SELECT 'expected ' || e::text FROM (TABLE expected EXCEPT ALL TABLE answered) e"
        );
        let differences = run(client, &query, range)?;
        assert!(differences.is_empty(), "{answer}\n{range:?}\n{}", differences.join("\n"));
    }
    Ok(RECOUNTS.len() as u64)
}

fn run(client: &mut impl GenericClient, query: &str, range: &Range) -> Result<Vec<String>, Error> {
    let types = [
        Type::TIMESTAMPTZ,
        Type::TIMESTAMPTZ,
        Type::INT8,
        Type::TEXT,
        Type::TIMESTAMPTZ_ARRAY,
        Type::TIMESTAMPTZ,
        Type::INT8,
    ];
    let statement = client.prepare_typed(query, &types)?;
    let bound =
        |bound: Bound<DateTime<Utc>>| -> Option<Timestamp<DateTime<Utc>>> { bound.map(Edge::instant) };
    let (from, to) = (bound(range.from), bound(range.to));
    let rows = client.query(
        &statement,
        &[&from, &to, &range.app_id, &range.model, &range.starts, &range.end, &range.user_id],
    )?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
