//! What was recorded and registered, as plain values: what the writers write and the oracle reads.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};
use postgres::Row;
use postgres::types::{Date, Timestamp};

/// How an event or session gets into its ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    #[default]
    Insert,
    Copy,
    /// `record_usage`, `record_session`, `record_message`.
    Record,
    /// `record_usage_batch`.
    Batch,
    /// `void_usage` of the event that it names in `corrects`.
    Void,
    /// `correct_usage` of that event, which is to be as this one.
    Correct,
    /// A better figure under the request key of that event.
    Supersede,
    /// By what wrote the row before it.
    Along,
}

/// The kinds of tokens that are a part of another one and no text, but the audio of prompt and completion.
pub const MEDIA: [&str; 6] = [
    "cache_read_audio",
    "cache_read_image",
    "prompt_image",
    "prompt_video",
    "completion_image",
    "completion_video",
];

/// A row of `usage_events`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    pub way: Way,
    pub occurred_at: DateTime<Utc>,
    pub app_id: i64,
    pub llm_id: i64,
    pub user_id: Option<i64>,
    pub vendor: Option<String>,
    pub model: String,
    pub service_tier: Option<String>,
    pub prompt: i64,
    pub cache_read: i64,
    pub cache_write: i64,
    pub completion: i64,
    pub reasoning: i64,
    pub inference: i64,
    pub cache_write_1h: Option<i64>,
    pub prompt_audio: Option<i64>,
    pub completion_audio: Option<i64>,
    /// In the order of [`MEDIA`].
    pub media: [Option<i64>; MEDIA.len()],
    pub cost: Option<BigDecimal>,
    /// `None`: the writer leaves it to the default.
    pub currency: Option<String>,
    pub rule_type: Option<String>,
    pub task_id: Option<String>,
    pub request_id: String,
    /// The `request_id` of the event that this one corrects.
    pub corrects: Option<String>,
    /// `None`: 1, or 0 for a correction.
    pub requests: Option<i64>,
    pub reported_cost: Option<BigDecimal>,
    pub quality: Option<String>,
    pub unaccounted: Option<i64>,
}

impl Event {
    pub fn input(&self) -> i128 {
        i128::from(self.prompt) + i128::from(self.cache_read) + i128::from(self.cache_write)
    }

    pub fn total(&self) -> i128 {
        self.input() + i128::from(self.completion)
    }

    pub fn requests(&self) -> i128 {
        self.requests.map_or(i128::from(self.corrects.is_none()), i128::from)
    }

    /// The row that takes this one back.
    pub fn taken_back(&self) -> Self {
        Self {
            way: Way::Along,
            prompt: -self.prompt,
            cache_read: -self.cache_read,
            cache_write: -self.cache_write,
            completion: -self.completion,
            reasoning: -self.reasoning,
            inference: -self.inference,
            cache_write_1h: self.cache_write_1h.map(|count| -count),
            prompt_audio: self.prompt_audio.map(|count| -count),
            completion_audio: self.completion_audio.map(|count| -count),
            media: self.media.map(|count| count.map(|count| -count)),
            unaccounted: self.unaccounted.map(|count| -count),
            cost: self.cost.as_ref().map(|cost| -cost),
            reported_cost: self.reported_cost.as_ref().map(|cost| -cost),
            requests: i64::try_from(-self.requests()).ok(),
            corrects: self.corrects.clone().or_else(|| Some(self.request_id.clone())),
            ..self.clone()
        }
    }

    pub fn day(&self) -> NaiveDate {
        self.occurred_at.date_naive()
    }
}

/// A row of `sessions`.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    pub way: Way,
    pub started_at: DateTime<Utc>,
    pub app_id: i64,
    pub consumer_id: Option<String>,
}

/// A row of `messages`.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub way: Way,
    pub sent_at: DateTime<Utc>,
    pub app_id: i64,
    pub session_id: Option<i64>,
}

/// A row of `users`.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub id: i64,
    pub email: Option<String>,
}

/// A row of `apps`, or of `llms`, which have no owner.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    pub id: i64,
    pub name: String,
    pub owner_id: Option<i64>,
}

/// A row of `budgets`.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// `App` or `LLM`.
    pub entity_type: &'static str,
    pub entity_id: i64,
    pub amount: BigDecimal,
    pub currency: String,
    pub start_date: Option<NaiveDate>,
}

/// All that a report may depend on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book {
    pub default_currency: &'static str,
    pub events: Vec<Event>,
    pub sessions: Vec<Session>,
    pub messages: Vec<Message>,
    pub users: Vec<User>,
    pub apps: Vec<Entity>,
    pub llms: Vec<Entity>,
    pub budgets: Vec<Budget>,
}

/// A bound of a range: an instant or day, or one of the infinities before and after all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge<T> {
    Past,
    At(T),
    Future,
}

impl<T: Copy> Edge<T> {
    /// As a parameter of type `timestamptz`.
    pub fn instant(self) -> Timestamp<T> {
        match self {
            Self::Past => Timestamp::NegInfinity,
            Self::At(value) => Timestamp::Value(value),
            Self::Future => Timestamp::PosInfinity,
        }
    }

    /// As a parameter of type `date`.
    pub fn date(self) -> Date<T> {
        match self {
            Self::Past => Date::NegInfinity,
            Self::At(value) => Date::Value(value),
            Self::Future => Date::PosInfinity,
        }
    }
}

/// Reads events back as they stand in the ledger; `Event::from_row` takes its rows.
pub const READ_EVENTS: &str = "SELECT e.occurred_at, e.app_id, e.llm_id, e.model, e.prompt_tokens::bigint, e.cache_read_tokens::bigint,
    e.cache_write_tokens::bigint, e.completion_tokens::bigint, e.inference_tokens::bigint, e.cost::text, e.currency, e.rule_type, e.task_id,
    coalesce(e.request_id, ''), e.corrects::text, e.user_id, e.vendor, e.requests::bigint FROM llm_usage.usage_events e";

impl Event {
    /// From a row of [`READ_EVENTS`].
    pub fn from_row(row: &Row) -> Self {
        let cost: Option<String> = row.get(9);
        Self {
            occurred_at: row.get(0),
            app_id: row.get(1),
            llm_id: row.get(2),
            model: row.get(3),
            prompt: row.get(4),
            cache_read: row.get(5),
            cache_write: row.get(6),
            completion: row.get(7),
            inference: row.get(8),
            cost: cost.map(|digits| digits.parse().expect("a numeric")),
            currency: row.get(10),
            rule_type: row.get(11),
            task_id: row.get(12),
            request_id: row.get(13),
            corrects: row.get(14),
            user_id: row.get(15),
            vendor: row.get(16),
            requests: row.get(17),
            ..Self::default()
        }
    }
}
