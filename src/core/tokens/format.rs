//! What a response format is: where it keeps its counts, and which of them lie inside others. The formats themselves are in
//! the table of `formats.rs`.

use bigdecimal::BigDecimal;
use serde_json::{Number, Value};

use super::ParseError;
use super::count::{at, first_count, has, text};
use super::settle::{Counts, MediumCounts};
use crate::money;

/// Where a count lies that is a part of the input or of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The whole counts it already, and so does the total.
    Inside,
    /// It comes on top of the whole, and the total counts it.
    Beside,
    /// It comes on top of the whole, and the total leaves it out.
    Apart,
}

/// How the events of a stream, or of a session, are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// The last usage stands: a stream that repeats it repeats a running sum.
    Last,
    /// The greatest of each count stands: a stream says the input once, and repeats a running sum of the output.
    Greatest,
    /// Each usage is a request of its own.
    Each,
    /// The last usage of each turn is a request of its own.
    EachTurn,
    /// The events of a Claude stream replace each other's fields; see `anthropic.rs`.
    Messages,
}

/// Where the provider says what the response cost, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    Nowhere,
    Dollars(&'static str),
    /// In ticks of 1e-10 dollars.
    Ticks(&'static str),
}

/// Names of one field, the first that is there counts. `/` leads into an object, a list by its place, or a list of counts by
/// the `modality` of an item.
pub(super) type Field = &'static [&'static str];

/// Tokens that are no text: where their parts of the input, of what of it was cached, of [`Format::more_input`] and of the output are.
pub(super) struct Medium {
    pub input: Field,
    pub cached: Field,
    pub more: Field,
    pub output: Field,
}

pub(super) const NONE: Medium = Medium { input: &[], cached: &[], more: &[], output: &[] };

/// A response format.
pub(super) struct Format {
    pub takes: Takes,
    /// What the model's name begins with, where only those models answer like this.
    pub models: &'static str,
    /// Values of `type` or `event_type` of the objects that have usage; `""`: objects without one.
    pub events: Field,
    /// Those of the objects that only name what the others are of.
    pub openings: Field,
    /// Where such an object keeps its usage; `""`: it is the usage.
    pub usage: Field,
    /// A count that the usage of some event must have, where formats share the others.
    pub tell: &'static str,
    pub input: Field,
    pub output: Field,
    pub cache_read: Field,
    pub cached: Place,
    pub cache_write: Field,
    pub cache_write_5m: Field,
    pub cache_write_1h: Field,
    pub cache_write_24h: Field,
    pub reasoning: Field,
    pub reasoned: Place,
    /// Only the total has the reasoning: what it has beyond the other counts.
    pub hides_reasoning: bool,
    /// Input on top of the input, such as what a tool put into the prompt.
    pub more_input: Field,
    pub more: Place,
    pub audio: Medium,
    /// Where the audio of the input lies.
    pub heard: Place,
    pub image: Medium,
    pub video: Medium,
    pub total: Field,
    pub cost: Cost,
    /// Where an object keeps the fields that name the response.
    pub body: Field,
    pub model: Field,
    /// The tool whose model it is, which the response need not name, and which did not run if it has no tokens.
    pub tool: Option<&'static str>,
    pub id: Field,
    pub tier: Field,
    /// What the last chunk of an answer has, and one that was cut off lacks.
    pub finish: &'static str,
    pub hint: &'static str,
}

/// What the others differ from: an object that is its own usage, everything inside, nothing told.
pub(super) const BASE: Format = Format {
    takes: Takes::Last,
    models: "",
    events: &[""],
    openings: &[],
    usage: &[""],
    tell: "",
    input: &[],
    output: &[],
    cache_read: &[],
    cached: Place::Inside,
    cache_write: &[],
    cache_write_5m: &[],
    cache_write_1h: &[],
    cache_write_24h: &[],
    reasoning: &[],
    reasoned: Place::Inside,
    hides_reasoning: false,
    more_input: &[],
    more: Place::Beside,
    audio: NONE,
    heard: Place::Inside,
    image: NONE,
    video: NONE,
    total: &[],
    cost: Cost::Nowhere,
    body: &[""],
    model: &["model"],
    tool: None,
    id: &["id"],
    tier: &["service_tier"],
    finish: "",
    hint: "Pass the whole response body; of a stream, every event.",
};

impl Format {
    /// The usage of an object, if the format reads it and it has counts.
    pub fn usage_of<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        if !self.events.contains(&kind(event)) {
            return None;
        }
        let mut usages = self.usage.iter().filter_map(|path| at(event, path));
        usages.find(|usage| self.counted(usage))
    }

    /// Whether a usage has counts, good or bad. A total alone tells no kind.
    pub fn counted(&self, usage: &Value) -> bool {
        let fields =
            [self.input, self.output, self.reasoning, self.more_input, self.cache_read, self.cache_write];
        fields.into_iter().flatten().any(|field| has(usage, field))
    }

    /// Whether the answers of this model have the format.
    pub fn is_of(&self, model: Option<&str>) -> bool {
        let start = model.and_then(|model| model.get(..self.models.len())).unwrap_or_default();
        start.eq_ignore_ascii_case(self.models)
    }

    pub fn counts(&self, usage: &Value) -> Result<Counts, ParseError> {
        let get = |field| first_count(usage, field).map(Option::unwrap_or_default);
        let cache_write_1h = get(self.cache_write_1h)? + get(self.cache_write_24h)?;
        let cache_write = match first_count(usage, self.cache_write)? {
            Some(written) => written,
            None => get(self.cache_write_5m)? + cache_write_1h,
        };
        Ok(Counts {
            input: first_count(usage, self.input)?,
            more_input: get(self.more_input)?,
            cache_read: get(self.cache_read)?,
            cache_write,
            cache_write_1h,
            output: get(self.output)?,
            reasoning: get(self.reasoning)?,
            audio: self.audio.counts(usage)?,
            image: self.image.counts(usage)?,
            video: self.video.counts(usage)?,
            total: first_count(usage, self.total)?,
        })
    }

    /// The last text under one of the names that these objects have. Streams open with empty ones, and closing
    /// chunks drop some.
    pub fn last_text<'a>(&self, events: &'a [Value], names: Field) -> Option<&'a str> {
        let named = |event: &&Value| {
            let kind = kind(event);
            self.events.contains(&kind) || self.openings.contains(&kind)
        };
        events.iter().rev().filter(named).find_map(|event| self.text(event, names))
    }

    pub fn text<'a>(&self, event: &'a Value, names: Field) -> Option<&'a str> {
        let bodies = self.body.iter().filter_map(|path| at(event, path));
        bodies.flat_map(|body| names.iter().filter_map(|name| text(body, name))).next()
    }

    /// The fields of the input and the output, and the objects that have them, as they are named in messages.
    pub fn looked_for(&self) -> String {
        let prefix = match self.usage {
            ["", ..] | [] => String::new(),
            [usage, ..] => format!("{usage}/"),
        };
        let names = self.input.iter().chain(self.output).map(|name| format!("{prefix}{name}"));
        let names = names.collect::<Vec<_>>().join(", ").replace('/', ".");
        match self.events {
            [""] => names,
            ["", events @ ..] => {
                format!("{names} in an object without type or of type {}", events.join(", "))
            }
            events => format!("{names} in an object of type {}", events.join(", ")),
        }
    }

    /// What the provider says the response cost, in dollars and as a decimal; nothing where it cannot be read.
    pub fn reported_cost(&self, usage: &Value) -> Option<Number> {
        let (path, is_ticks) = match self.cost {
            Cost::Nowhere => return None,
            Cost::Dollars(path) => (path, false),
            Cost::Ticks(path) => (path, true),
        };
        let amount = match at(usage, path)? {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return None,
        };
        let amount = money::plain(&amount)?;
        match is_ticks {
            true => {
                let dollars: BigDecimal = amount.parse().ok()?;
                money::cost(&(dollars * BigDecimal::new(1.into(), 10)).normalized().to_plain_string())
            }
            false => money::cost(&amount),
        }
    }
}

impl Medium {
    fn counts(&self, usage: &Value) -> Result<MediumCounts, ParseError> {
        let get = |field| first_count(usage, field).map(Option::unwrap_or_default);
        Ok(MediumCounts {
            input: get(self.input)?,
            cached: first_count(usage, self.cached)?.or(self.is_cache_told(usage).then_some(0)),
            more: get(self.more)?,
            output: get(self.output)?,
        })
    }

    /// Whether it is said of what media the cached tokens are: then there are none of those that are not named.
    fn is_cache_told(&self, usage: &Value) -> bool {
        let mut lists = self.cached.iter().filter_map(|path| at(usage, path.rsplit_once('/')?.0));
        lists.any(|list| match list {
            Value::Array(media) => !media.is_empty(),
            Value::Object(media) => media.values().any(|count| !count.is_null()),
            _ => false,
        })
    }
}

/// What an event says it is; nothing where it does not.
fn kind(event: &Value) -> &str {
    ["type", "event_type"].iter().find_map(|key| at(event, key)?.as_str()).unwrap_or_default()
}
