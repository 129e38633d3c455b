//! Writes a book into the database, each row in its own way.

use std::io::Write;

use bigdecimal::BigDecimal;
use postgres::types::ToSql;
use postgres::{Error, Transaction};
use serde_json::{Map, Value};

use crate::amendment;
use crate::copy::{CopyText, instant};
use crate::ledger::{Book, Event, MEDIA, Message, Session, Way};
use crate::oracle::PriceRow;

const INSERT: &str = "INSERT INTO llm_usage.usage_events
    (occurred_at, app_id, llm_id, user_id, vendor, model, service_tier, prompt_tokens, cache_read_tokens,
     cache_write_tokens, completion_tokens, reasoning_tokens, inference_tokens, cache_write_1h_tokens,
     prompt_audio_tokens, completion_audio_tokens, cost, currency, rule_type, task_id, request_id, reported_cost, quality,
     unaccounted_tokens, cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens,
     prompt_video_tokens, completion_image_tokens, completion_video_tokens,
     corrects, requests)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8::bigint, $9::bigint, $10::bigint, $11::bigint, $12::bigint, $13::bigint, $14::bigint,
     $15::bigint, $16::bigint, $17::text::numeric, coalesce($18, $31), $19, $20, $21,
     $22::text::numeric, $23, $24::bigint, $25::bigint, $26::bigint, $27::bigint, $28::bigint, $29::bigint, $30::bigint,
     (SELECT id FROM llm_usage.usage_events WHERE request_id = $32), $33::bigint)";

const INSERT_ROWS: &str = "INSERT INTO llm_usage.usage_events
    (occurred_at, app_id, llm_id, user_id, vendor, model, prompt_tokens, cache_read_tokens, cache_write_tokens,
     completion_tokens, reasoning_tokens, inference_tokens, cost, currency, rule_type, task_id, request_id)
  SELECT r.occurred_at, r.app_id, r.llm_id, r.user_id, r.vendor, r.model, r.prompt_tokens, r.cache_read_tokens,
         r.cache_write_tokens, r.completion_tokens, r.reasoning_tokens, r.inference_tokens, r.cost, coalesce(r.currency, $2),
         r.rule_type, r.task_id, r.request_id
    FROM jsonb_populate_recordset(NULL::llm_usage.usage_events, $1::text::jsonb) r";

const COPY: &str = "COPY llm_usage.usage_events
    (occurred_at, app_id, llm_id, user_id, vendor, model, service_tier, prompt_tokens, cache_read_tokens,
     cache_write_tokens, completion_tokens, reasoning_tokens, inference_tokens, cache_write_1h_tokens,
     prompt_audio_tokens, completion_audio_tokens, cost, currency, rule_type, task_id, request_id,
     reported_cost, quality, unaccounted_tokens, cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens,
     prompt_video_tokens, completion_image_tokens, completion_video_tokens) FROM STDIN";

pub(crate) const RECORD: &str = "SELECT status FROM llm_usage.record_usage(
    occurred_at => $1, app_id => $2, llm_id => $3, user_id => $4, vendor => $5, model => $6, service_tier => $7,
    prompt_tokens => $8, cache_read_tokens => $9, cache_write_tokens => $10, completion_tokens => $11,
    reasoning_tokens => $12, inference_tokens => $13, cache_write_1h_tokens => $14, prompt_audio_tokens => $15,
    completion_audio_tokens => $16, cost => $17::text::numeric, currency => $18, rule_type => $19, task_id => $20,
    request_id => $21, reported_cost => $22::text::numeric, quality => $23, unaccounted_tokens => $24,
    cache_read_audio_tokens => $25, cache_read_image_tokens => $26, prompt_image_tokens => $27,
    prompt_video_tokens => $28, completion_image_tokens => $29, completion_video_tokens => $30)";

const INSERT_PRICE: &str = "INSERT INTO llm_usage.model_prices
    (vendor, model, service_tier, above_tokens, source, is_default, currency, valid_from, input_per_token,
     output_per_token, cache_read_per_token, cache_write_per_token, cache_write_1h_per_token, reasoning_per_token,
     prompt_audio_per_token, completion_audio_per_token, cache_read_audio_per_token, cache_read_image_per_token,
     prompt_image_per_token, prompt_video_per_token, completion_image_per_token, completion_video_per_token)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric, $10::text::numeric, $11::text::numeric,
     $12::text::numeric, $13::text::numeric, $14::text::numeric, $15::text::numeric, $16::text::numeric,
     $17::text::numeric, $18::text::numeric, $19::text::numeric, $20::text::numeric, $21::text::numeric, $22::text::numeric)";

/// Registers the entities and budgets of a book.
pub fn register(transaction: &mut Transaction, book: &Book) {
    let mut run = |statement: &str, parameters: &[&(dyn ToSql + Sync)]| {
        transaction.execute(statement, parameters).expect("it is registered");
    };
    for user in &book.users {
        run("INSERT INTO llm_usage.users (id, email) VALUES ($1, $2)", &[&user.id, &user.email]);
    }
    for app in &book.apps {
        let statement = "INSERT INTO llm_usage.apps (id, name, owner_id) VALUES ($1, $2, $3)";
        run(statement, &[&app.id, &app.name, &app.owner_id]);
    }
    for llm in &book.llms {
        run("INSERT INTO llm_usage.llms (id, name) VALUES ($1, $2)", &[&llm.id, &llm.name]);
    }
    for budget in &book.budgets {
        run(
            "INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, currency, start_date)
             VALUES ($1, $2, $3::text::numeric, $4, $5)",
            &[
                &budget.entity_type,
                &budget.entity_id,
                &budget.amount.to_plain_string(),
                &budget.currency,
                &budget.start_date,
            ],
        );
    }
}

/// Adds rows to `model_prices`.
pub fn write_prices(transaction: &mut Transaction, rows: &[PriceRow]) {
    let insert = transaction.prepare(INSERT_PRICE).expect("the insert");
    for row in rows {
        let prices = [
            &row.input,
            &row.output,
            &row.cache_read,
            &row.cache_write,
            &row.cache_write_1h,
            &row.reasoning,
            &row.prompt_audio,
            &row.completion_audio,
        ];
        let digits = |price: &Option<BigDecimal>| price.as_ref().map(|price| price.to_plain_string());
        let prices: Vec<_> = prices.into_iter().chain(&row.media).map(digits).collect();
        let (source, valid_from) = (row.source.name(), row.valid_from.instant());
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&row.vendor, &row.model, &row.service_tier, &row.above_tokens, &source];
        parameters.extend([&row.is_default as &(dyn ToSql + Sync), &row.currency, &valid_from]);
        parameters.extend(prices.iter().map(|price| price as &(dyn ToSql + Sync)));
        transaction.execute(&insert, &parameters).expect("a price");
    }
}

/// Appends events; neighbours that go the same way go together where the way can take many.
pub fn write_events(
    transaction: &mut Transaction,
    events: &[Event],
    default_currency: &str,
) -> Result<(), Error> {
    for run in events.chunk_by(|one, next| one.way == next.way) {
        match run[0].way {
            Way::Insert => {
                let insert = transaction.prepare(INSERT)?;
                for event in run {
                    with_parameters(event, |parameters| {
                        let more: [&(dyn ToSql + Sync); 3] =
                            [&default_currency, &event.corrects, &event.requests];
                        transaction.execute(&insert, &[parameters, &more[..]].concat())
                    })?;
                }
            }
            Way::Copy => copy_events(transaction, run, default_currency)?,
            Way::Record => {
                let record = transaction.prepare(RECORD)?;
                for event in run {
                    let row =
                        with_parameters(event, |parameters| transaction.query_one(&record, parameters))?;
                    assert_eq!(row.get::<_, String>(0), "recorded");
                }
            }
            Way::Batch => record_batch(transaction, run)?,
            Way::Void | Way::Correct | Way::Supersede => {
                for event in run {
                    amendment::write(transaction, event)?;
                }
            }
            Way::Along => {}
        }
    }
    Ok(())
}

pub(crate) fn with_parameters<T>(event: &Event, run: impl FnOnce(&[&(dyn ToSql + Sync)]) -> T) -> T {
    let digits = |amount: &Option<BigDecimal>| amount.as_ref().map(|amount| amount.to_plain_string());
    let (cost, reported_cost) = (digits(&event.cost), digits(&event.reported_cost));
    let parameters: [&(dyn ToSql + Sync); 24] = [
        &event.occurred_at,
        &event.app_id,
        &event.llm_id,
        &event.user_id,
        &event.vendor,
        &event.model,
        &event.service_tier,
        &event.prompt,
        &event.cache_read,
        &event.cache_write,
        &event.completion,
        &event.reasoning,
        &event.inference,
        &event.cache_write_1h,
        &event.prompt_audio,
        &event.completion_audio,
        &cost,
        &event.currency,
        &event.rule_type,
        &event.task_id,
        &event.request_id,
        &reported_cost,
        &event.quality,
        &event.unaccounted,
    ];
    let media = event.media.each_ref().map(|count| count as &(dyn ToSql + Sync));
    run(&[&parameters[..], &media[..]].concat())
}

fn copy_events(transaction: &mut Transaction, events: &[Event], default_currency: &str) -> Result<(), Error> {
    let mut lines = CopyText::default();
    for event in events {
        lines.field(Some(instant(event.occurred_at))).field(Some(event.app_id)).field(Some(event.llm_id));
        lines.field(event.user_id).field(event.vendor.as_ref()).field(Some(&event.model));
        lines.field(event.service_tier.as_ref());
        for count in [event.prompt, event.cache_read, event.cache_write, event.completion] {
            lines.field(Some(count));
        }
        lines.field(Some(event.reasoning)).field(Some(event.inference)).field(event.cache_write_1h);
        lines.field(event.prompt_audio).field(event.completion_audio);
        lines.field(event.cost.as_ref().map(|cost| cost.to_plain_string()));
        lines.field(Some(event.currency.as_deref().unwrap_or(default_currency)));
        lines.field(event.rule_type.as_ref()).field(event.task_id.as_ref()).field(Some(&event.request_id));
        lines.field(event.reported_cost.as_ref().map(|cost| cost.to_plain_string()));
        lines.field(event.quality.as_ref()).field(event.unaccounted);
        for count in event.media {
            lines.field(count);
        }
        lines.end();
    }
    copy(transaction, COPY, &lines)
}

fn copy(transaction: &mut Transaction, statement: &str, lines: &CopyText) -> Result<(), Error> {
    let mut copy = transaction.copy_in(statement)?;
    // The end of a COPY says why its lines were not taken.
    copy.write_all(lines.as_bytes()).ok();
    copy.finish().map(drop)
}

fn record_batch(transaction: &mut Transaction, events: &[Event]) -> Result<(), Error> {
    let batch = Value::Array(events.iter().map(batch_element).collect()).to_string();
    let row = transaction.query_one("SELECT llm_usage.record_usage_batch($1::text::jsonb)", &[&batch])?;
    let answer: Value = row.get(0);
    assert_eq!(answer["recorded"].to_string(), events.len().to_string(), "{answer}");
    assert_eq!(answer["errors"].to_string(), "[]", "{batch}");
    Ok(())
}

/// Appends events with one INSERT of many rows.
pub fn insert_rows(
    transaction: &mut Transaction,
    events: &[Event],
    default_currency: &str,
) -> Result<(), Error> {
    let rows = Value::Array(events.iter().map(batch_element).collect()).to_string();
    transaction.execute(INSERT_ROWS, &[&rows, &default_currency]).map(drop)
}

/// Some keys are left out and some are null: both mean the default. Money goes as a number or as a string.
fn batch_element(event: &Event) -> Value {
    let mut element = Map::new();
    let mut put = |key: &str, value: Value| element.insert(key.to_owned(), value);
    put("occurred_at", event.occurred_at.to_rfc3339().into());
    put("app_id", event.app_id.into());
    put("llm_id", event.llm_id.into());
    put("user_id", event.user_id.into());
    put("model", event.model.clone().into());
    put("prompt_tokens", event.prompt.into());
    put("cache_read_tokens", event.cache_read.into());
    put("cache_write_tokens", event.cache_write.into());
    put("completion_tokens", event.completion.into());
    put("reasoning_tokens", event.reasoning.into());
    put("inference_tokens", event.inference.into());
    put("request_id", event.request_id.clone().into());
    let texts = [
        ("vendor", &event.vendor),
        ("service_tier", &event.service_tier),
        ("currency", &event.currency),
        ("rule_type", &event.rule_type),
        ("task_id", &event.task_id),
        ("quality", &event.quality),
    ];
    for (key, text) in texts {
        if text.is_some() || event.prompt % 2 == 0 {
            put(key, text.clone().into());
        }
    }
    let parts = [
        ("cache_write_1h_tokens", event.cache_write_1h),
        ("prompt_audio_tokens", event.prompt_audio),
        ("completion_audio_tokens", event.completion_audio),
        ("unaccounted_tokens", event.unaccounted),
    ];
    for (key, count) in parts {
        put(key, count.into());
    }
    for (key, count) in MEDIA.into_iter().zip(event.media) {
        put(&format!("{key}_tokens"), count.into());
    }
    for (key, amount) in [("cost", &event.cost), ("reported_cost", &event.reported_cost)] {
        let Some(amount) = amount else { continue };
        let digits = amount.to_plain_string();
        let number = serde_json::from_str(&digits).expect("a JSON number");
        put(key, if event.completion % 2 == 0 { number } else { digits.into() });
    }
    Value::Object(element)
}

/// Appends sessions and messages.
pub fn write_chats(
    transaction: &mut Transaction,
    sessions: &[Session],
    messages: &[Message],
) -> Result<(), Error> {
    for run in sessions.chunk_by(|one, next| one.way == next.way) {
        let statement = match run[0].way {
            Way::Record | Way::Batch => {
                "SELECT llm_usage.record_session(app_id => $1, consumer_id => $2, started_at => $3)"
            }
            _ => "INSERT INTO llm_usage.sessions (app_id, consumer_id, started_at) VALUES ($1, $2, $3)",
        };
        if run[0].way == Way::Copy {
            let mut lines = CopyText::default();
            for session in run {
                let (app, consumer) = (session.app_id, session.consumer_id.as_ref());
                lines.field(Some(app)).field(consumer).field(Some(instant(session.started_at))).end();
            }
            let statement = "COPY llm_usage.sessions (app_id, consumer_id, started_at) FROM STDIN";
            copy(transaction, statement, &lines)?;
            continue;
        }
        for Session { started_at, app_id, consumer_id, .. } in run {
            transaction.execute(statement, &[app_id, consumer_id, started_at])?;
        }
    }
    for Message { way, sent_at, app_id, session_id } in messages {
        let statement = match way {
            Way::Record | Way::Batch => {
                "SELECT llm_usage.record_message(app_id => $1, session_id => $2, sent_at => $3)"
            }
            _ => "INSERT INTO llm_usage.messages (app_id, session_id, sent_at) VALUES ($1, $2, $3)",
        };
        transaction.execute(statement, &[app_id, session_id, sent_at])?;
    }
    Ok(())
}
