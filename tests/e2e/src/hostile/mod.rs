//! Calls of everything public with arguments that nobody would send, each of them undone.

mod values;

use std::collections::BTreeMap;

use postgres::Client;
use serde_json::json;

use crate::random::Random;
use values::{mild, value};

/// Every public function and view, with the names and types of what it can be given: a function's arguments, a view's columns.
const PUBLIC: &str = "
SELECT p.oid::regprocedure::text, p.pronamespace::regnamespace || '.' || p.proname, false,
       coalesce(p.proargnames[1:p.pronargs], array_fill(''::text, ARRAY[p.pronargs::int])),
       ARRAY(SELECT t::regtype::text FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a (t, n) ORDER BY n),
       p.pronargdefaults::bigint, p.provariadic <> 0
  FROM pg_proc p
 WHERE p.pronamespace::regnamespace::text IN ('llm_usage', 'llm_usage_http') AND p.proname !~ '^_' AND p.prokind = 'f'
UNION ALL
SELECT c.oid::regclass::text, c.oid::regclass::text, true,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum),
       ARRAY(SELECT a.atttypid::regtype::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum), 0::bigint, false
  FROM pg_class c
 WHERE c.relnamespace::regnamespace::text IN ('llm_usage', 'llm_usage_http') AND c.relname !~ '^_' AND c.relkind = 'v'
ORDER BY 1";
const ATTEMPTS: &str = "SELECT a.code, a.message, a.status, a.took
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY c (call, arguments, headers, n),
         LATERAL pg_temp.attempt(c.call, ARRAY(SELECT jsonb_array_elements_text(c.arguments::jsonb)), c.headers) a
   ORDER BY c.n";
const AT_ONCE: usize = 100;

/// What can be called.
pub struct Callable {
    pub name: String,
    qualified: String,
    /// Of its arguments, or of a view's columns.
    names: Vec<String>,
    types: Vec<String>,
    is_view: bool,
    defaults: usize,
    is_variadic: bool,
}

/// How the calls of one of them ended.
#[derive(Debug, Default, Clone)]
pub struct Ends {
    pub by_code: BTreeMap<String, u64>,
    took: f64,
}

impl Ends {
    pub fn calls(&self) -> u64 {
        self.by_code.values().sum()
    }
}

struct Call {
    callable: usize,
    statement: String,
    arguments: Vec<Option<String>>,
    headers: String,
}

/// Functions that make or remove tables or rights.
const DEFINING: [&str; 4] = ["maintain", "drop_month", "grant_access", "revoke_access"];

/// Makes calls in one session.
pub struct Caller {
    client: Client,
    seed: u64,
    /// What was called, in its order.
    made: Vec<usize>,
    pub callables: Vec<Callable>,
    pub ends: Vec<Ends>,
}

impl Caller {
    pub fn new(mut client: Client, seed: u64) -> Self {
        client.batch_execute(include_str!("attempt.sql")).expect("a function");
        client.batch_execute("SET statement_timeout = '120s'").expect("a setting");
        let callables = callables(&mut client);
        let ends = vec![Ends::default(); callables.len()];
        Self { client, seed, made: Vec::new(), callables, ends }
    }

    /// The process of the session.
    pub fn process(&mut self) -> i32 {
        self.client.query_one("SELECT pg_backend_pid()", &[]).expect("its process").get(0)
    }

    /// Makes so many calls, by the hundred; returns those that ended as none may.
    pub fn call(&mut self, times: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        for _ in 0..times.div_ceil(AT_ONCE) {
            let calls: Vec<Call> = (0..AT_ONCE).map(|_| self.next()).collect();
            wrong.extend(self.attempt(&calls));
        }
        wrong
    }

    /// Makes the calls again that were made, but those that define something: of what was defined and undone the server's own
    /// caches go on growing, for a plain CREATE TABLE as well.
    pub fn repeat(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        let defines = |number: &usize| {
            let name = &self.callables[self.made[*number]].name;
            DEFINING.iter().any(|function| name.starts_with(&format!("llm_usage.{function}(")))
        };
        let numbers: Vec<usize> = (0..self.made.len()).filter(|number| !defines(number)).collect();
        for some in numbers.chunks(AT_ONCE) {
            let calls: Vec<Call> = some.iter().map(|number| self.made(*number)).collect();
            wrong.extend(self.attempt(&calls));
        }
        wrong
    }

    /// Of some, what has taken least time so far: some take a thousand times as long as others.
    fn next(&mut self) -> Call {
        let mut random = Random::new(self.seed + self.made.len() as u64);
        let count = self.callables.len() as u64;
        let some = [(); 4].map(|()| usize::try_from(random.below(count)).unwrap_or(0));
        let took = |callable: &usize| self.ends[*callable].took;
        let callable = some.into_iter().min_by(|one, other| took(one).total_cmp(&took(other))).unwrap_or(0);
        // The time is known when the batch is over; until then a call is taken for a short one.
        self.ends[callable].took += 0.000_1;
        self.made.push(callable);
        self.made(self.made.len() - 1)
    }

    fn made(&self, number: usize) -> Call {
        let random = &mut Random::new(!(self.seed + number as u64));
        let callable = self.made[number];
        let (statement, arguments) = self.callables[callable].call(random);
        let [key, uri, authorization] = [(); 3].map(|()| value("", "text", random));
        let headers = json!({
            "x-api-key": key,
            "x-original-uri": uri.map(|uri| format!("/api/v1/apps/{uri}?{uri}=%ff&group_by={uri}")),
            "authorization": authorization,
        });
        Call { callable, statement, arguments, headers: headers.to_string() }
    }

    fn attempt(&mut self, calls: &[Call]) -> Vec<String> {
        let statements: Vec<&str> = calls.iter().map(|call| call.statement.as_str()).collect();
        let arguments: Vec<String> = calls.iter().map(|call| json!(call.arguments).to_string()).collect();
        let headers: Vec<&str> = calls.iter().map(|call| call.headers.as_str()).collect();
        let rows = self
            .client
            .query(ATTEMPTS, &[&statements, &arguments, &headers])
            .unwrap_or_else(|error| panic!("the session ended: {error:?}, at one of {statements:#?}"));
        assert_eq!(rows.len(), calls.len());
        let mut wrong = Vec::new();
        for (call, row) in calls.iter().zip(rows) {
            let (code, message, status): (String, Option<String>, Option<String>) =
                (row.get(0), row.get(1), row.get(2));
            if !is_right(&code, message.as_deref()) || status.as_deref() == Some("500") {
                let arguments: String = json!(call.arguments).to_string().chars().take(1000).collect();
                let name = &self.callables[call.callable].name;
                wrong.push(format!("{name} {code} {message:?} {status:?} {} {arguments}", call.statement));
            }
            let ends = &mut self.ends[call.callable];
            *ends.by_code.entry(code).or_default() += 1;
            ends.took += row.get::<_, f64>(3);
        }
        wrong
    }
}

/// Whether a call may end so: without an error, or with one that says what the caller did wrong.
fn is_right(code: &str, message: Option<&str>) -> bool {
    const RIGHT: [&str; 14] = [
        "00000", "22004", "22003", "22007", "22008", "22023", "22P02", "23514", "42704", "55000", "PT401",
        "22P05", "22009", "2202E",
    ];
    // The server's own; any other of this code is an error that nobody gave one.
    RIGHT.contains(&code)
        || code == "22000" && message == Some("argument must be empty or one-dimensional array")
}

fn callables(client: &mut Client) -> Vec<Callable> {
    let rows = client.query(PUBLIC, &[]).expect(PUBLIC);
    let callable = |row: &postgres::Row| Callable {
        name: row.get(0),
        qualified: row.get(1),
        is_view: row.get(2),
        names: row.get(3),
        types: row.get(4),
        defaults: usize::try_from(row.get::<_, i64>(5)).unwrap_or(0),
        is_variadic: row.get(6),
    };
    rows.iter().map(callable).collect()
}

impl Callable {
    /// A statement, and what is $1 in it.
    fn call(&self, random: &mut Random) -> (String, Vec<Option<String>>) {
        if self.is_view {
            let column = usize::try_from(random.below(self.names.len() as u64)).unwrap_or(0);
            let (name, of_type) = (&self.names[column], &self.types[column]);
            let operator = random.pick(&["IS DISTINCT FROM", "=", ">="]);
            let statement = format!(
                "SELECT count(v::text) FROM {} v WHERE v.{name} {operator} ($1)[1]::{of_type}",
                self.qualified
            );
            return (statement, vec![value(name, of_type, random)]);
        }
        let left_out = usize::try_from(random.below(self.defaults as u64 + 1)).unwrap_or(0);
        let given = &self.types[..self.types.len() - left_out];
        let places: Vec<String> = given
            .iter()
            .enumerate()
            .map(|(index, of_type)| {
                let variadic =
                    if self.is_variadic && index + 1 == self.types.len() { "VARIADIC " } else { "" };
                format!("{variadic}($1)[{}]::{of_type}", index + 1)
            })
            .collect();
        let statement = format!("SELECT count(f::text) FROM {}({}) f", self.qualified, places.join(", "));
        // All of them hostile, or just one.
        let only = (random.below(2) == 0).then(|| random.below(given.len().max(1) as u64));
        let arguments = self.names.iter().zip(given).zip(0..).map(|((name, of_type), index)| match only {
            Some(only) if only != index => Some(mild(name, of_type, random)),
            _ => value(name, of_type, random),
        });
        let arguments = arguments.collect();
        (statement, arguments)
    }
}
