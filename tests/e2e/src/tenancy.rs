//! Two databases: one with everybody's usage, and one that holds nothing but what is a tenant's.

use postgres::Client;

use crate::cluster::Cluster;

/// Who the tenant is by the setting, and by a role of his own.
pub const SETTING: &str = "SET ROLE e2e_tenants; SET llm_usage.tenant = '3'";
pub const FIXED: &str = "RESET request.jwt.claims; SET ROLE e2e_tenant_3; SET llm_usage.tenant = '9004'";

/// What is the tenant's, 3: apps 7 and 8.
const OWN: &str = "
INSERT INTO llm_usage.users (id, email) VALUES (3, 'mine@example.com');
INSERT INTO llm_usage.apps (id, slug, name, owner_id) VALUES (8, 'search', NULL, 3), (7, 'helpdesk', 'Helpdesk', 3);
INSERT INTO llm_usage.llms (id, name) VALUES (1, 'Shared'), (2, 'Not folded');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, currency, start_date)
  VALUES ('App', 7, 100, 'USD', NULL), ('App', 8, 5, 'EUR', '2025-01-15');
";

/// What is another's: 9001 and 9002 of owner 9004, and what has no app.
const THEIRS: &str = "
INSERT INTO llm_usage.users (id, email, name) VALUES (9004, 'theirs@example.com', 'theirs'), (5, 'theirs5@example.com', 'theirs');
INSERT INTO llm_usage.apps (id, slug, name, owner_id) VALUES (9001, 'theirs', 'theirs', 9004), (9002, 'theirs2', NULL, NULL);
INSERT INTO llm_usage.llms (id, name) VALUES (9005, 'theirs'), (9006, 'theirs unused');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 9001, 9001), ('LLM', 1, 9002), ('LLM', 9005, 9003);
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('theirs', 'theirs-model', '-infinity', 0.5);
";

/// Events FIRST to LAST of some apps, of forty days and a few of now, and before the first an hour with more events of a line than the
/// row of a rollup has room for; what two tenants share is in both.
const EVENTS: &str = "
INSERT INTO llm_usage.usage_events (occurred_at, app_id, llm_id, user_id, model, vendor, prompt_tokens, completion_tokens,
    inference_tokens, rule_type, task_id, cost, currency, reported_cost)
  SELECT CASE WHEN n % 50 = 0 THEN now() - interval '1 second' * n ELSE '2025-03-01Z'::timestamptz + interval '1 second' * (h(n, 1) % 3456000) END,
         a.app, CASE WHEN a.app > 9000 AND n % 3 = 0 THEN 9005 WHEN n > 300 THEN 2 ELSE h(n, 2) % 2 END,
         CASE WHEN a.app > 9000 AND n % 2 = 0 THEN 9007 ELSE nullif(h(n, 3) % 5, 0) END,
         CASE WHEN a.app IN (0, 9001, 9002) AND n % 4 = 0 THEN 'theirs-model' ELSE (ARRAY['gpt-4.1', 'house', 'o3'])[1 + h(n, 4) % 3] END,
         CASE WHEN n % 7 = 0 THEN 'acme' END, h(n, 5) % 1000, h(n, 6) % 100, h(n, 7) % 10,
         CASE WHEN n % 3 = 0 THEN CASE WHEN a.app > 9000 AND n % 2 = 0 THEN 'theirs' ELSE 'pii' END END,
         CASE WHEN n % 9 = 0 THEN 'task' || h(n, 8) % 3 END,
         CASE WHEN n % 5 = 0 THEN (h(n, 9) % 1000) * 0.0001 END, CASE WHEN n % 10 = 0 THEN 'EUR' ELSE 'USD' END,
         CASE WHEN n % 11 = 0 THEN 0.01 END
    FROM generate_series(FIRST, LAST) n, unnest(APPS) a (app)
   ORDER BY n, a.app DESC;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, completion_tokens, cost)
  SELECT '2025-03-02 10:15Z'::timestamptz + interval '0.6 seconds' * n, a.app, (ARRAY['gpt-4.1', 'house'])[1 + n % 2], h(n, 5) % 1000, n, 0
    FROM generate_series(1, 480) n, unnest(APPS) a (app) WHERE FIRST = 1 AND a.app IN (7, 9001);
INSERT INTO llm_usage.sessions (app_id, consumer_id, started_at)
  SELECT a.app, CASE WHEN a.app > 9000 THEN (ARRAY['ann', 'theirs', 'late'])[1 + n % 3] ELSE nullif((ARRAY['ann', 'bob', ''])[1 + n % 3], '') END,
         '2025-03-01Z'::timestamptz + interval '1 second' * (h(n, 10) % 3456000)
    FROM generate_series(FIRST, LAST) n, unnest(APPS) a (app) WHERE n % 4 = 0 ORDER BY n, a.app DESC;
INSERT INTO llm_usage.messages (app_id, sent_at)
  SELECT a.app, '2025-03-01Z'::timestamptz + interval '1 second' * (h(n, 11) % 3456000)
    FROM generate_series(FIRST, LAST) n, unnest(APPS) a (app) WHERE n % 3 = 0 ORDER BY n, a.app DESC;
";
const CHANCE: &str = "CREATE FUNCTION h(n bigint, which bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
  RETURN hashint8extended(n, which) & 1048575;";

/// Roles whose sessions are tenants': by the setting, and always tenant 3.
pub const ROLES: &str = "
DO $$ BEGIN
  IF to_regrole('e2e_tenants') IS NULL THEN CREATE ROLE e2e_tenants; CREATE ROLE e2e_tenant_3; CREATE ROLE e2e_analyst; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- Another test makes them.
END $$;
SELECT llm_usage.grant_access(r, a) FROM unnest('{e2e_tenants,e2e_tenant_3}'::name[]) r, unnest('{reader,writer}'::text[]) a;
SELECT llm_usage.grant_access('e2e_analyst', 'reader');
SELECT llm_usage.enable_row_security('e2e_tenants'), llm_usage.enable_row_security('e2e_tenant_3', '3');
";

/// The database of everybody and that of the tenant alone.
pub struct Tenancy {
    pub everybody: Client,
    pub alone: Client,
    pub database: String,
}

impl Tenancy {
    /// With the entities and the roles; nothing is recorded.
    pub fn new(cluster: &Cluster) -> Self {
        let database = cluster.create_database();
        let mut everybody = cluster.connect(&database);
        let mut alone = cluster.connect(&cluster.create_database());
        for (client, script) in
            [(&mut everybody, format!("{OWN}{THEIRS}{ROLES}")), (&mut alone, OWN.to_owned())]
        {
            client.batch_execute(&format!("{CHANCE}{script}")).expect("the entities");
        }
        Self { everybody, alone, database }
    }

    /// Records some events in both, as far as they are of either.
    pub fn record(&mut self, first: i64, last: i64) {
        for (client, apps) in [(&mut self.everybody, "{9001,7,0,8,9002}"), (&mut self.alone, "{7,8}")] {
            let script = EVENTS
                .replace("FIRST", &first.to_string())
                .replace("LAST", &last.to_string())
                .replace("APPS", &format!("'{apps}'::bigint[]"));
            client.batch_execute(&script).expect("the events");
        }
    }

    /// Runs the same in both.
    pub fn run(&mut self, script: &str) {
        for client in [&mut self.everybody, &mut self.alone] {
            client.batch_execute(script).unwrap_or_else(|error| panic!("{script}: {error}"));
        }
    }
}
