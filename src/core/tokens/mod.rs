//! Token usage of model requests, read from what providers answer and from spans that tell of it.
//!
//! A format declares where its counts are and which of them lie inside others (`formats.rs`); the kinds that come out are
//! disjoint: `input = prompt + cache_read + cache_write`. Most responses tell of one request; sessions, batch files, and
//! responses in which another model had a part tell of several.

mod anthropic;
mod batch;
mod bedrock;
mod count;
mod error;
mod events;
mod format;
mod formats;
mod providers;
mod row;
mod settle;
mod spans;

use std::borrow::Cow;

use serde_json::{Number, Value};

pub use error::ParseError;
pub use row::{Given, element_rows, rows, span_rows};

use count::{kind, text};
use error::cut;
use format::Takes;
use providers::{Provider, SPANS, provider};

/// What came of each of several spans, by its place among them.
pub type BySpan<T, E> = Vec<(usize, Result<T, E>)>;

/// What one request used. No count is negative; a count that the response leaves out is 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Who is paid, as in `model_prices`.
    pub vendor: Cow<'static, str>,
    /// The model that answered, by the provider's own name for it.
    pub model: Option<String>,
    /// The provider's id of the response, or the span's.
    pub response_id: Option<String>,
    /// The service tier that the provider says it served the request in.
    pub service_tier: Option<String>,
    /// Microseconds since 1970; only spans tell it.
    pub occurred_at: Option<i64>,
    /// Input neither served from a cache nor written to one.
    pub prompt_tokens: i64,
    /// Input served from a cache.
    pub cache_read_tokens: i64,
    /// Input written to a cache.
    pub cache_write_tokens: i64,
    /// Part of `cache_write_tokens`: written to be kept for an hour. Never more than the whole.
    pub cache_write_1h_tokens: i64,
    /// All output, reasoning included.
    pub completion_tokens: i64,
    /// Part of `completion_tokens`. Never more than the whole, whatever some models report.
    pub reasoning_tokens: i64,
    /// Part of `prompt_tokens`: audio that is certainly not cached. Never more than the whole.
    pub prompt_audio_tokens: i64,
    /// The same of images, and of video.
    pub prompt_image_tokens: i64,
    pub prompt_video_tokens: i64,
    /// Parts of `cache_read_tokens`, where they are said. Never more than the whole.
    pub cache_read_audio_tokens: i64,
    pub cache_read_image_tokens: i64,
    /// Parts of `completion_tokens`. Never more than the whole.
    pub completion_audio_tokens: i64,
    pub completion_image_tokens: i64,
    pub completion_video_tokens: i64,
    /// The total that the provider reports, where it reports one.
    pub provider_total: Option<i64>,
    /// That total minus the kinds. Negative where it leaves some out, as that of Grok on Azure does.
    pub unaccounted_tokens: i64,
    /// What the provider says the request cost, in US dollars.
    pub reported_cost: Option<Number>,
    /// The stream broke off, or its input is unknown: the figures are what is known, not what is billed.
    pub is_partial: bool,
}

impl Usage {
    fn has_tokens(&self) -> bool {
        self.prompt_tokens + self.cache_read_tokens + self.cache_write_tokens + self.completion_tokens > 0
    }
}

/// Reads what a response of `provider` used. `response` is the body, or the array of the parsed events of a stream or a
/// session, or of the lines of a batch file; or an export of spans, of the provider `opentelemetry`.
///
/// # Errors
/// A provider that is not known, a response without usage, or counts that cannot be.
pub fn parse(name: &str, response: &Value) -> Result<Vec<Usage>, ParseError> {
    let events = match response {
        Value::Object(_) => std::slice::from_ref(response),
        Value::Array(events) if events.iter().any(Value::is_object) => events.as_slice(),
        other => return Err(ParseError::NotAnObject { found: kind(other) }),
    };
    if SPANS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return spans::parse(response);
    }
    let known = provider(name).ok_or_else(|| ParseError::UnknownProvider { provider: cut(name) })?;
    if text(response, "object") == Some("batch") {
        return Err(batch::summed_up(known.vendor));
    }
    let mut found = match batch::lines(events) {
        Some(lines) => read_lines(known, &lines)?,
        None => read(known, events, response.is_array())?,
    };
    if found.is_empty() {
        return Err(no_usage(known));
    }
    found.iter_mut().for_each(|usage| usage.vendor = Cow::Borrowed(known.vendor));
    Ok(found)
}

fn read(known: &Provider, events: &[Value], is_stream: bool) -> Result<Vec<Usage>, ParseError> {
    let mut found = Vec::new();
    for format in known.formats {
        // One response has one format, but a session can have requests of several.
        if found.is_empty() || format.takes == Takes::Each {
            found.extend(events::read(format, events, is_stream)?);
        }
    }
    Ok(found)
}

fn read_lines(known: &Provider, lines: &[batch::Line]) -> Result<Vec<Usage>, ParseError> {
    let mut found = Vec::new();
    for line in lines {
        let usages = read(known, std::slice::from_ref(line.body), false)?;
        let own =
            usages.first().and_then(|usage| usage.response_id.clone()).or_else(|| line.id.map(str::to_owned));
        for (place, usage) in usages.into_iter().enumerate() {
            // As rows() names what a response bills of other models.
            let response_id = usage.response_id.or_else(|| match place {
                0 => own.clone(),
                _ => own.as_ref().map(|id| format!("{id}#{}", place + 1)),
            });
            let service_tier = Some(batch::tier(usage.service_tier.as_deref()));
            found.push(Usage { response_id, service_tier, ..usage });
        }
    }
    Ok(found)
}

fn no_usage(known: &Provider) -> ParseError {
    let mut looked_for = Vec::new();
    let mut hints = Vec::new();
    for format in known.formats.iter().filter(|format| format.tool.is_none()) {
        looked_for.push(format.looked_for());
        if !hints.contains(&format.hint) {
            hints.push(format.hint);
        }
    }
    looked_for.dedup();
    ParseError::NoUsage {
        provider: known.vendor,
        looked_for: looked_for.join("; and for "),
        hint: hints.join(" "),
    }
}
