//! Arthur GenAI Engine, `GET /api/v2/usage/tokens` (seed 002_a2f999653bea297c).

use std::collections::BTreeMap;
use std::ffi::CStr;

use llm_usage_core::Error;
use llm_usage_core::calendar::DAY;
use llm_usage_core::cut::Cut;
use llm_usage_core::event::event_column;
use llm_usage_core::money::Exact;
use llm_usage_core::slots::MINUTES;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::direct::{self, EVENTS, Range, Rollup};
use crate::pg::lookup::{Is, Key};
use crate::pg::micros;
use crate::pg::row::Columns;
use crate::{error, pg, query};

/// `TokenUsageScope`, as the vendor spells it.
const SCOPES: [&str; 2] = ["rule_type", "task"];

/// `TokenUsageResponse`: a key that is not grouped on is `null`.
#[derive(Serialize)]
struct TokenUsage {
    rule_type: Option<String>,
    task_id: Option<String>,
    count: TokenUsageCount,
}

/// `TokenUsageCount`, with the deprecated mirrors of its first three.
#[derive(Serialize)]
struct TokenUsageCount {
    inference: Exact,
    eval_prompt: Exact,
    eval_completion: Exact,
    user_input: Exact,
    prompt: Exact,
    completion: Exact,
}

impl TokenUsageCount {
    fn new(inference: Exact, eval_prompt: Exact, eval_completion: Exact) -> Self {
        Self {
            user_input: inference.clone(),
            prompt: eval_prompt.clone(),
            completion: eval_completion.clone(),
            inference,
            eval_prompt,
            eval_completion,
        }
    }
}

/// Tokens of evaluations in `[start_time, end_time)`, by rule type, by task, or by both.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn token_usage_grouped(
    start_time: default!(Option<TimestampWithTimeZone>, "NULL"),
    end_time: default!(Option<TimestampWithTimeZone>, "NULL"),
    group_by: default!(Option<Array<&str>>, "'{rule_type}'"),
) -> Result<pg::Json, ErrorReport> {
    let scopes: Vec<Option<&str>> = group_by.iter().flat_map(Array::iter).collect();
    for scope in &scopes {
        check(*scope)?;
    }
    let by_task = scopes.contains(&Some("task"));
    let by_rule = scopes.contains(&Some("rule_type")) || !by_task;
    let today = micros(pgrx::datum::datetime_support::now()).div_euclid(DAY) * DAY;
    let start_time = start_time.map_or_else(|| pg::instant(today), Ok)?;
    let end_time = end_time.map_or_else(|| pg::instant(today + DAY), Ok)?;
    let groups = match by_task {
        true => by_task_of(start_time, end_time, by_rule)?,
        false => by_rule_type(start_time, end_time)?,
    };
    pg::json(&groups)
}

fn by_task_of(
    start_time: TimestampWithTimeZone,
    end_time: TimestampWithTimeZone,
    by_rule: bool,
) -> Result<Vec<TokenUsage>, ErrorReport> {
    let args = [start_time.into(), end_time.into(), by_rule.into()];
    query::select(include_str!("token_usage_grouped.sql"), &args, |row| {
        Ok(TokenUsage {
            rule_type: row.get(1)?,
            task_id: row.get(2)?,
            count: TokenUsageCount::new(row.count(3)?, row.count(4)?, row.count(5)?),
        })
    })
}

fn by_rule_type(
    start_time: TimestampWithTimeZone,
    end_time: TimestampWithTimeZone,
) -> Result<Vec<TokenUsage>, ErrorReport> {
    let usage = |rule_type, inference, prompt, completion| TokenUsage {
        rule_type: Some(rule_type),
        task_id: None,
        count: TokenUsageCount::new(inference, prompt, completion),
    };
    if let Some(rules) = read(Cut::of(Some(pg::micros(start_time)), Some(pg::micros(end_time))))? {
        let rules = rules.into_iter().map(|(rule_type, sums)| (rule_type, sums.map(Exact::from)));
        return Ok(rules
            .map(|(rule_type, [inference, prompt, completion])| {
                usage(rule_type, inference, prompt, completion)
            })
            .collect());
    }
    let args = [start_time.into(), end_time.into()];
    query::select(include_str!("token_usage_by_rule_type.sql"), &args, |row| {
        Ok(usage(row.text(1)?, row.count(2)?, row.count(3)?, row.count(4)?))
    })
}

/// Inference, prompt and completion by rule type, ordered by its bytes.
type Rules = BTreeMap<String, [i128; 3]>;

fn read(range: Cut) -> Result<Option<Rules>, ErrorReport> {
    const ROLLUP: Rollup = Rollup {
        days: c"_by_rule_type_day",
        hours: c"_by_rule_type_hour",
        names: &["rule_type", "inference_tokens", "input_tokens", "completion_tokens"],
    };
    /// Under it stand the sums of all apps.
    const ALL_APPS: i64 = -1;
    const RULE: usize = event_column("rule_type");
    const IS_RULE: Key = (c"rule_type", Is::Given);
    const INFERENCE: usize = event_column("inference_tokens");
    const TABLES: [&CStr; 3] = [ROLLUP.days, ROLLUP.hours, c"_rollups"];
    let Some(range) = Range::of_apps(&EVENTS, range, &TABLES)? else { return Ok(None) };
    let mut rules = Rules::new();
    let add_event = |rules: &mut Rules, event: &Columns| {
        if let Some(rule) = event.text(RULE) {
            let (input, completion) = direct::tokens(event);
            add(rules, rule, [event.number(INFERENCE), input, completion]);
        }
        Ok(())
    };
    let apps = range.apps.as_deref().unwrap_or(&[ALL_APPS]);
    let apps: Vec<Key> = apps.iter().map(|app| (c"app_id", Is::Number(*app))).collect();
    for app in &apps {
        let is_read = range.kept(&ROLLUP, &[*app], |row| {
            add(&mut rules, row.text(0).unwrap_or_default(), [1, 2, 3].map(|column| row.number(column)));
            Ok(())
        })?;
        if !is_read {
            return Ok(None);
        }
    }
    let is_read =
        range.minutes(ROLLUP.hours, &apps, &["rule_type", "bucket", "minutes"], |row, (from, to)| {
            for minute in MINUTES.unpack(row.bytes(2), row.instant(1)) {
                let (minute, sums) = minute.map_err(|error| error::report(&error))?;
                if (from..to).contains(&minute) {
                    add(&mut rules, row.text(0).unwrap_or_default(), sums);
                }
            }
            Ok(())
        })?;
    let is_read = is_read
        && range.seconds(IS_RULE, |event| add_event(&mut rules, event))?
        && range.tail(Some(IS_RULE), |event| add_event(&mut rules, event))?;
    Ok(is_read.then_some(rules))
}

fn add(rules: &mut Rules, rule_type: &str, added: [i64; 3]) {
    let sums = match rules.get_mut(rule_type) {
        Some(sums) => sums,
        None => rules.entry(rule_type.to_owned()).or_default(),
    };
    sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += i128::from(added));
}

fn check(scope: Option<&str>) -> Result<(), ErrorReport> {
    match scope {
        Some(scope) if SCOPES.contains(&scope) => Ok(()),
        other => Err(error::report(&Error::UnknownWord {
            name: "group_by",
            value: other.unwrap_or("NULL").to_owned(),
            known: &SCOPES,
        })),
    }
}
