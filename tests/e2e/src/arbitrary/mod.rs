//! Random ledgers that crowd where reports go wrong: at the edges of days, months and periods, in names that sort by
//! bytes and not by language, in money of many digits.

mod book;
mod price;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

pub use book::{book, chat_book, events};
pub use price::{price_rows, priced_events};

use crate::ledger::Edge;

/// Names whose order by bytes differs from their order in a dictionary, and that need escaping here or there.
pub const MODELS: [&str; 12] = [
    "alpha",
    "Alpha",
    "ALPHA-2",
    "alpha_2",
    "beta/Zeta",
    "zeta",
    "Äther",
    "äther",
    "модель",
    "模型 7:b",
    "\u{1f600}",
    "tab\tquote\"back\\slash\nline",
];

pub const RULES: [&str; 4] = ["toxicity", "Toxicity", "PII", "ünwahr"];
pub const TASKS: [&str; 4] = ["t-1", "T-1", "t1", "задача"];
pub const CONSUMERS: [&str; 5] = ["ann", "Ann", "ann ", "bob", "önder"];

/// Instants of years that reports must be able to name.
const FIRST: &str = "0001-01-01T00:00:00Z";
const LAST: &str = "9999-12-31T23:59:59.999999Z";
const FAR_DAYS: [&str; 10] = [
    "0001-01-02",
    "1582-10-15",
    "1970-01-01",
    "1999-07-04",
    "2000-01-01",
    "2024-02-29",
    "2024-03-01",
    "2038-01-20",
    "2100-03-01",
    "9999-12-31",
];

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(Default::default()).and_utc()
}

/// Days near `today`, most of them where a month or a period may turn.
pub fn near_days(today: NaiveDate) -> impl Strategy<Value = NaiveDate> {
    let months = (-2..=2_i64).prop_flat_map(move |months| {
        (-2..=2_i64).prop_map(move |days| {
            let first = today - Days::new(today.day0().into());
            let middle = first + TimeDelta::days(30 * months + 14);
            middle - Days::new(middle.day0().into()) + TimeDelta::days(days)
        })
    });
    let next_year = NaiveDate::from_ymd_opt(today.year() + 1, 1, 1).expect("a year");
    prop_oneof![
        3 => (-3..=3_i64).prop_map(move |days| today + TimeDelta::days(days)),
        3 => months,
        2 => (-70..=70_i64).prop_map(move |days| today + TimeDelta::days(days)),
        1 => Just(next_year),
    ]
}

/// Days near `today` and far from it.
pub fn days(today: NaiveDate) -> impl Strategy<Value = NaiveDate> {
    let far = select(&FAR_DAYS[..]).prop_map(|day| day.parse().expect("a date"));
    prop_oneof![6 => near_days(today), 1 => far]
}

/// Instants at the edges of those days, to the microsecond, and within them.
pub fn instants(today: NaiveDate) -> impl Strategy<Value = DateTime<Utc>> {
    let jitter = prop_oneof![
        4 => -1..=1_i64,
        1 => -86_400_000_000..=86_400_000_000_i64,
        1 => (-14 * 3600..=14 * 3600_i64).prop_map(|seconds| seconds * 1_000_000),
    ];
    let (first, last): (DateTime<Utc>, DateTime<Utc>) =
        (FIRST.parse().expect("an instant"), LAST.parse().expect("an instant"));
    let edge = (days(today), jitter)
        .prop_map(move |(day, jitter)| (midnight(day) + TimeDelta::microseconds(jitter)).clamp(first, last));
    prop_oneof![40 => edge, 1 => Just(first), 1 => Just(last)]
}

/// Bounds of a range of instants; `None`: left out.
pub fn instant_edges(today: NaiveDate) -> impl Strategy<Value = Option<Edge<DateTime<Utc>>>> {
    let edge = prop_oneof![
        8 => instants(today).prop_map(Edge::At),
        1 => Just(Edge::Past),
        1 => Just(Edge::Future),
    ];
    option::weighted(0.7, edge)
}

/// Bounds of a range of days.
pub fn day_edges(today: NaiveDate) -> impl Strategy<Value = Edge<NaiveDate>> {
    prop_oneof![10 => days(today).prop_map(Edge::At), 1 => Just(Edge::Past), 1 => Just(Edge::Future)]
}

fn text(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(names).prop_map(str::to_owned)
}

/// Amounts of money below 10^15, from whole ones to ones with thirty decimals.
pub fn amounts() -> impl Strategy<Value = BigDecimal> {
    let of_scale = (0..30_i64).prop_flat_map(|scale| {
        let most = 10_u128.pow(u32::try_from(15 + scale).unwrap_or(38).min(38));
        (0..most).prop_map(move |digits| BigDecimal::new(BigInt::from(digits), scale))
    });
    let everyday = (0..100_000_i64).prop_map(|digits| BigDecimal::new(BigInt::from(digits), 6));
    let zero = (0..3_i64).prop_map(|scale| BigDecimal::new(BigInt::from(0), scale));
    prop_oneof![3 => everyday, 2 => of_scale, 1 => zero]
}

fn currencies() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("USD"), 1 => Just("EUR")]
}
