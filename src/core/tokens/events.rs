//! A body, or the events of a stream or a session, read by a format.

use serde_json::Value;

use super::count::{at, text};
use super::format::{Format, Takes};
use super::settle::settle;
use super::{ParseError, Usage, anthropic};
use crate::pricing::standard_tier;

/// The requests that the events tell of; none where they have no usage of this format. A body is the only event, and no stream.
pub(super) fn read(format: &Format, events: &[Value], is_stream: bool) -> Result<Vec<Usage>, ParseError> {
    if format.takes == Takes::Messages {
        return anthropic::read(format, events);
    }
    let is_of_model = format.models.is_empty() || format.is_of(format.last_text(events, format.model));
    if !is_of_model || !told(format, events) {
        return Ok(Vec::new());
    }
    match format.takes {
        Takes::Each => each(format, events, events.chunks(1)),
        Takes::EachTurn => {
            let is_end = |event: &Value| at(event, "serverContent/turnComplete") == Some(&Value::Bool(true));
            let turns = events.split_inclusive(is_end);
            each(format, events, turns)
        }
        Takes::Last | Takes::Greatest | Takes::Messages => {
            last(format, events, is_stream).map(|usage| usage.into_iter().collect())
        }
    }
}

fn told(format: &Format, events: &[Value]) -> bool {
    let mut usages = events.iter().filter_map(|event| format.usage_of(event));
    format.tell.is_empty() || usages.any(|usage| at(usage, format.tell).is_some())
}

fn last_usage<'a>(format: &Format, events: &'a [Value]) -> Option<(&'a Value, &'a Value)> {
    events.iter().rev().find_map(|event| Some((event, format.usage_of(event)?)))
}

fn last(format: &Format, events: &[Value], is_stream: bool) -> Result<Option<Usage>, ParseError> {
    let Some((event, usage)) = last_usage(format, events) else {
        return Ok(None);
    };
    let mut read = one(format, usage)?;
    if format.takes == Takes::Greatest {
        for usage in events.iter().filter_map(|event| format.usage_of(event)) {
            let other = one(format, usage)?;
            read.prompt_tokens = read.prompt_tokens.max(other.prompt_tokens);
            read.completion_tokens = read.completion_tokens.max(other.completion_tokens);
        }
    }
    read.is_partial |= is_stream && is_cut_off(format, events, event);
    read.model = format.last_text(events, format.model).map(str::to_owned);
    read.response_id = format.last_text(events, format.id).map(str::to_owned);
    // Of several fields, one that says more than the ordinary tier.
    let said = || format.tier.chunks(1).filter_map(|field| format.last_text(events, field).and_then(tier));
    read.service_tier = said().find(|tier| !standard_tier(Some(tier)).is_empty()).or_else(|| said().next());
    Ok(Some(read))
}

/// A request for each part of a session, by the model that was told last before its end, or else after it.
fn each<'a>(
    format: &Format,
    events: &'a [Value],
    parts: impl Iterator<Item = &'a [Value]>,
) -> Result<Vec<Usage>, ParseError> {
    let mut read = Vec::new();
    if last_usage(format, events).is_none() {
        return Ok(read);
    }
    let told_later = format.last_text(events, format.model);
    let mut told = None;
    for part in parts {
        told = format.last_text(part, format.model).or(told);
        if let Some((event, usage)) = last_usage(format, part) {
            let usage = one(format, usage)?;
            if format.tool.is_none() || usage.has_tokens() {
                read.push(Usage {
                    model: told.or(told_later).or(format.tool).map(str::to_owned),
                    response_id: format.text(event, format.id).map(str::to_owned),
                    service_tier: format.text(event, format.tier).and_then(tier),
                    ..usage
                });
            }
        }
    }
    Ok(read)
}

/// The kinds and the reported cost of one usage object.
pub(super) fn one(format: &Format, usage: &Value) -> Result<Usage, ParseError> {
    Ok(Usage { reported_cost: format.reported_cost(usage), ..settle(format, &format.counts(usage)?) })
}

/// Whether the stream ends in the middle of the answer: its usage, repeated in each chunk, is that far only.
fn is_cut_off(format: &Format, events: &[Value], last: &Value) -> bool {
    let Some((answers, _)) = format.finish.split_once('/') else {
        return false;
    };
    let answering = last.get(answers).and_then(Value::as_array).is_some_and(|answers| !answers.is_empty());
    answering && !events.iter().any(|event| text(event, format.finish).is_some())
}

/// A service tier in the words of price rows. Vertex AI says `ON_DEMAND_FLEX`, Gemini may say `SERVICE_TIER_STANDARD`.
pub(super) fn tier(said: &str) -> Option<String> {
    let said = said.to_ascii_lowercase();
    let tier =
        ["on_demand_", "service_tier_"].iter().find_map(|prefix| said.strip_prefix(prefix)).unwrap_or(&said);
    (!tier.ends_with("unspecified")).then(|| tier.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use serde_json::{Value, json};

    #[test]
    fn a_transcript_is_of_the_model_that_was_set_before_it() {
        let set = |model| {
            let audio = json!({"input": {"transcription": {"model": model}}});
            json!({"type": "session.updated", "session": {"model": "gpt-realtime", "audio": audio}})
        };
        let transcript = |item: &str| {
            let usage = json!({"type": "tokens", "total_tokens": 11, "input_tokens": 10, "output_tokens": 1});
            let kind = "conversation.item.input_audio_transcription.completed";
            json!({"type": kind, "item_id": item, "usage": usage})
        };
        let models = |events: Vec<Value>| {
            let found = parse("openai", &Value::Array(events)).unwrap().into_iter();
            found.map(|usage| usage.model.unwrap()).collect::<Vec<_>>()
        };
        let (one, other) = ("gpt-4o-transcribe", "gpt-4o-mini-transcribe");
        assert_eq!(models(vec![set(one), transcript("1"), set(other), transcript("2")]), [one, other]);
        assert_eq!(models(vec![transcript("1"), set(one), transcript("2")]), [one, one]);
    }
}
