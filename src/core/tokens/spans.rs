//! Spans of OpenTelemetry and OpenInference: an OTLP/JSON export, or spans by themselves.
//!
//! Only spans of model calls are requests: agents, chains and tools repeat or sum what is below them. What a span is, it says
//! (`openinference.span.kind`, `gen_ai.operation.name`). Where it does not, it is taken for a model call if it names a model
//! and no model call is below it. A model call that repeats those below it, as wrappers do, is not one either.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::count::{at, kind, text};
use super::events::{one, tier};
use super::format::Format;
use super::formats::{GEN_AI, OPENINFERENCE};
use super::providers::provider;
use super::{BySpan, ParseError, Usage};
use crate::calendar::parse_instant;

/// Where an export keeps lists of what it consists of, down to the spans.
const LISTS: [&str; 7] = [
    "resourceSpans",
    "resource_spans",
    "scopeSpans",
    "scope_spans",
    "instrumentationLibrarySpans",
    "spans",
    "data",
];
const SPAN_IDS: [&str; 3] = ["spanId", "span_id", "context/span_id"];
const TRACE_IDS: [&str; 3] = ["traceId", "trace_id", "context/trace_id"];
const PARENT_IDS: [&str; 3] = ["parentSpanId", "parent_span_id", "parent_id"];
const NANOSECONDS: [&str; 4] =
    ["startTimeUnixNano", "start_time_unix_nano", "endTimeUnixNano", "end_time_unix_nano"];
const INSTANTS: [&str; 4] = ["startTime", "start_time", "endTime", "end_time"];
const VENDORS: [&str; 4] = ["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"];
/// Attributes that are read, by what they begin with: the others hold whole conversations.
const READ: [&str; 7] = [
    "gen_ai.",
    "llm.token_count.",
    "llm.usage.",
    "llm.request.type",
    "openai.",
    "openinference.",
    "traceloop.",
];
/// Those that begin so and are read as they are.
const ALSO_READ: [&str; 4] = ["llm.model_name", "llm.provider", "llm.system", "embedding.model_name"];
/// Values of `gen_ai.operation.name` and `llm.request.type` of a model call.
const INFERENCE: [&str; 9] = [
    "chat",
    "text_completion",
    "generate_content",
    "embeddings",
    "completion",
    "completions",
    "embedding",
    "responses",
    "rerank",
];
const ORCHESTRATION: [&str; 4] = ["invoke_", "create_", "execute_", "plan"];

/// The requests of all spans.
pub(super) fn parse(export: &Value) -> Result<Vec<Usage>, ParseError> {
    let found = read(export)?.into_iter().map(|(_, usage)| usage).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(no_usage()) } else { Ok(found) }
}

/// The request of each span that reported usage of its own, by its place among the spans, or why it cannot be read.
pub(super) fn read(export: &Value) -> Result<BySpan<Usage, ParseError>, ParseError> {
    let mut found = Vec::new();
    collect(export, &mut found);
    if !(export.is_object() || export.is_array()) {
        return Err(ParseError::NotAnObject { found: kind(export) });
    }
    // An export can be empty, but nothing without attributes is a span.
    if !found.is_empty() && !found.iter().any(|span| span.get("attributes").is_some()) {
        return Err(no_usage());
    }
    let spans: Vec<Span> = found.into_iter().map(Span::of).collect();
    let repeated = repeated(&spans);
    let counted =
        spans.into_iter().enumerate().filter(|(place, span)| span.calls() && !repeated.contains(place));
    Ok(counted.map(|(place, span)| (place, span.usage.unwrap_or_else(|| Err(no_usage())))).collect())
}

fn no_usage() -> ParseError {
    ParseError::NoUsage {
        provider: "opentelemetry",
        looked_for: format!("attributes {}; and for {}", GEN_AI.looked_for(), OPENINFERENCE.looked_for()),
        hint: GEN_AI.hint.into(),
    }
}

fn collect<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        // JSON of Protocol Buffers leaves empty lists out.
        Value::Object(fields) if fields.is_empty() => {}
        Value::Object(_) => {
            let lists = LISTS.iter().filter_map(|name| value.get(name));
            let mut lists = lists.filter(|list| list.is_array() || list.is_null()).peekable();
            if lists.peek().is_none() {
                return found.push(value);
            }
            lists.for_each(|list| collect(list, found));
        }
        _ => {}
    }
}

/// What a span is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    ModelCall,
    /// It does not say, but names a model.
    Unsaid,
    Other,
}

struct Span<'a> {
    id: Option<&'a str>,
    trace: &'a str,
    parent: Option<&'a str>,
    role: Role,
    response: Option<String>,
    usage: Option<Result<Usage, ParseError>>,
}

impl<'a> Span<'a> {
    fn of(span: &'a Value) -> Self {
        let name = |paths: &[&str]| paths.iter().find_map(|path| text(span, path));
        let attributes = Value::Object(attributes(span));
        let (id, trace) = (name(&SPAN_IDS), name(&TRACE_IDS).unwrap_or_default());
        let format = [&OPENINFERENCE, &GEN_AI].into_iter().find(|format| format.counted(&attributes));
        let role = role(&attributes);
        let usage = format.filter(|_| role != Role::Other).map(|format| {
            let response = text(&attributes, "gen_ai.response.id");
            let request = match id {
                Some(id) if trace.is_empty() => Some(id.to_owned()),
                Some(id) => Some(format!("{trace}-{id}")),
                None => response.map(str::to_owned),
            };
            usage(format, &attributes, request, occurred_at(span))
        });
        let response = text(&attributes, "gen_ai.response.id").map(str::to_owned);
        Self { id, trace, parent: name(&PARENT_IDS), role, response, usage }
    }

    fn calls(&self) -> bool {
        self.usage.is_some()
    }

    fn counts(&self) -> Option<(i64, i64)> {
        let usage = self.usage.as_ref()?.as_ref().ok()?;
        let input = usage.prompt_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
        Some((input, usage.completion_tokens))
    }

    /// Whether it repeats these, which are below it.
    fn repeats(&self, below: &[&Self]) -> bool {
        let Some(counts) = self.counts() else { return false };
        let all: Vec<(i64, i64)> = below.iter().filter_map(|span| span.counts()).collect();
        let sum = all.iter().fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1));
        let same_response = |span: &&Self| self.response.is_some() && self.response == span.response;
        self.role == Role::Unsaid || sum == counts || all.contains(&counts) || below.iter().any(same_response)
    }
}

fn role(attributes: &Value) -> Role {
    if let Some(kind) = text(attributes, "openinference.span.kind") {
        let is_call = ["LLM", "EMBEDDING"].iter().any(|call| kind.eq_ignore_ascii_case(call));
        return if is_call { Role::ModelCall } else { Role::Other };
    }
    let operation =
        ["gen_ai.operation.name", "llm.request.type"].iter().find_map(|name| text(attributes, name));
    let operation = operation.unwrap_or_default();
    let is_orchestration = ORCHESTRATION.iter().any(|start| operation.starts_with(start));
    let names_model = [GEN_AI.model, OPENINFERENCE.model].into_iter().flatten();
    if INFERENCE.contains(&operation) {
        Role::ModelCall
    } else if is_orchestration || text(attributes, "traceloop.span.kind").is_some() {
        Role::Other
    } else if names_model.clone().any(|name| text(attributes, name).is_some()) {
        Role::Unsaid
    } else {
        Role::Other
    }
}

/// The places of the spans that repeat model calls below them, and of the copies of those that were exported twice: the last one
/// with usage is the span.
fn repeated(spans: &[Span]) -> HashSet<usize> {
    let mut repeated = HashSet::new();
    let mut places = HashMap::new();
    for (place, span) in spans.iter().enumerate() {
        let Some(id) = span.id else { continue };
        let kept = places.entry((span.trace, id)).or_insert(place);
        if *kept != place {
            let is_better = span.calls() || !spans[*kept].calls();
            repeated.insert(if is_better { std::mem::replace(kept, place) } else { place });
        }
    }
    let mut below: HashMap<usize, Vec<&Span>> = HashMap::new();
    let is_counted = |(place, span): &(usize, &Span)| span.calls() && !repeated.contains(place);
    for (_, span) in spans.iter().enumerate().filter(is_counted) {
        let mut above = span.parent;
        // No further up than there are spans: ids can go in a circle.
        for _ in 0..spans.len() {
            let Some(&place) = above.and_then(|id| places.get(&(span.trace, id))) else { break };
            let parent = &spans[place];
            if parent.calls() && !std::ptr::eq(parent, span) {
                below.entry(place).or_default().push(span);
                break;
            }
            above = parent.parent;
        }
    }
    repeated.extend(
        below.into_iter().filter(|(place, below)| spans[*place].repeats(below)).map(|(place, _)| place),
    );
    repeated
}

fn usage(
    format: &Format,
    attributes: &Value,
    response_id: Option<String>,
    occurred_at: Option<i64>,
) -> Result<Usage, ParseError> {
    let name = |paths: &[&str]| paths.iter().find_map(|path| text(attributes, path));
    // `_OTHER` is what the conventions call a provider that they do not name.
    let vendor = name(&VENDORS).filter(|vendor| *vendor != "_OTHER").unwrap_or_default();
    let vendor = match provider(vendor) {
        Some(known) => Cow::Borrowed(known.vendor),
        None => Cow::Owned(vendor.to_owned()),
    };
    let (model, service_tier) = (name(format.model).map(str::to_owned), name(format.tier).and_then(tier));
    Ok(Usage { vendor, model, response_id, service_tier, occurred_at, ..one(format, attributes)? })
}

/// The attributes that are read: an object, also one that is nested, or OTLP's list of keys and values.
fn attributes(span: &Value) -> Map<String, Value> {
    let mut read = Map::new();
    match span.get("attributes") {
        Some(Value::Array(pairs)) => {
            for pair in pairs {
                if let (Some(key), Some(value)) = (text(pair, "key"), pair.get("value")) {
                    take(key, value, &mut read);
                }
            }
        }
        Some(Value::Object(fields)) => fields.iter().for_each(|(key, value)| take(key, value, &mut read)),
        _ => {}
    }
    read
}

fn take(key: &str, value: &Value, read: &mut Map<String, Value>) {
    const TYPED: [&str; 3] = ["stringValue", "intValue", "doubleValue"];
    if let Some(typed) = TYPED.iter().find_map(|name| value.get(name)) {
        take(key, typed, read);
    } else if let Value::Object(fields) = value {
        fields.iter().for_each(|(inner, value)| take(&format!("{key}.{inner}"), value, read));
    } else if READ.iter().any(|start| key.starts_with(start)) || ALSO_READ.contains(&key) {
        read.insert(key.to_owned(), value.clone());
    }
}

/// When the span began, in microseconds since 1970.
fn occurred_at(span: &Value) -> Option<i64> {
    let nanoseconds = NANOSECONDS.iter().find_map(|name| match at(span, name)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    let instant = || INSTANTS.iter().find_map(|name| parse_instant(text(span, name)?));
    nanoseconds
        .filter(|nanoseconds: &i64| *nanoseconds > 0)
        .map(|nanoseconds| nanoseconds / 1000)
        .or_else(instant)
}
