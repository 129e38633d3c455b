//! Budget periods against time zones of another make: ten years, every anchor, days of 23 and 25 hours, odd offsets.

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use e2e::cluster::Cluster;
use e2e::random::Random;
use postgres::Client;

/// Zones whose clocks change at midnight, by half an hour, over midnight backwards, or stand between the hours.
const ZONES: [Tz; 14] = [
    Tz::UTC,
    Tz::America__New_York,
    Tz::Europe__Berlin,
    Tz::America__Havana,
    Tz::America__Sao_Paulo,
    Tz::America__St_Johns,
    Tz::Atlantic__Azores,
    Tz::Asia__Beirut,
    Tz::Asia__Kathmandu,
    Tz::Asia__Kolkata,
    Tz::Asia__Tehran,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
    Tz::Pacific__Chatham,
];
const YEARS: std::ops::Range<i32> = 2018..2028;
const PERIODS: [&str; 5] = ["day", "week", "month", "quarter", "year"];

/// Whether a period starts on this day, by the words of the documentation.
fn starts(period: &str, anchor: Option<NaiveDate>, day: NaiveDate) -> bool {
    let wanted_day = anchor.map_or(1, |anchor| anchor.day());
    let wanted_month = anchor.map_or(1, |anchor| anchor.month());
    let is_last = (day + Days::new(1)).month() != day.month();
    let starts_month = day.day() == wanted_day || (is_last && day.day() < wanted_day);
    match period {
        "day" => true,
        "week" => day.weekday() == anchor.map_or(chrono::Weekday::Mon, |anchor| anchor.weekday()),
        "month" => starts_month,
        "quarter" => starts_month && day.month() % 3 == wanted_month % 3,
        _ => starts_month && day.month() == wanted_month,
    }
}

fn days() -> impl Iterator<Item = NaiveDate> {
    let date = |year| NaiveDate::from_ymd_opt(year, 1, 1).expect("a date");
    date(YEARS.start - 2).iter_days().take_while(move |day| *day < date(YEARS.end + 2))
}

/// The first second at which the local date has come to a day.
fn first_instant(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    let midnight = day.and_time(Default::default()).and_utc().timestamp();
    let (mut before, mut after) = (midnight - 86_400, midnight + 86_400);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        let local = zone.timestamp_opt(middle, 0).single().expect("an instant").date_naive();
        *(if local < day { &mut before } else { &mut after }) = middle;
    }
    DateTime::from_timestamp(after, 0).expect("an instant")
}

/// Instants at both sides of every bound and anywhere within, each with the period that holds it.
#[derive(Default)]
struct Cases {
    at: Vec<DateTime<Utc>>,
    start: Vec<DateTime<Utc>>,
    end: Vec<DateTime<Utc>>,
}

impl Cases {
    fn of(zone: Tz, period: &str, anchor: Option<NaiveDate>, random: &mut Random) -> Self {
        let bounds: Vec<_> =
            days().filter(|day| starts(period, anchor, *day)).map(|day| first_instant(zone, day)).collect();
        let mut cases = Self::default();
        for pair in bounds.windows(2).filter(|pair| YEARS.contains(&pair[0].year())) {
            let width = (pair[1] - pair[0]).num_seconds().unsigned_abs();
            let within = pair[0] + TimeDelta::seconds(random.below(width).cast_signed());
            for at in [pair[0], within, pair[1] - TimeDelta::microseconds(1)] {
                cases.at.push(at);
                cases.start.push(pair[0]);
                cases.end.push(pair[1]);
            }
        }
        cases
    }
}

const DIFFERENCES: &str =
    "SELECT format('%s: %s to %s, not %s to %s', c.at, p.period_start, p.period_end, c.starts, c.ends)
    FROM unnest($1::timestamptz[], $2::timestamptz[], $3::timestamptz[]) c (at, starts, ends)
   CROSS JOIN LATERAL llm_usage._budget_period($4, $5, NULL, $6, c.at) p
   WHERE (p.period_start, p.period_end) IS DISTINCT FROM (c.starts, c.ends) LIMIT 3";

fn check(
    client: &mut Client,
    zone: Tz,
    period: &str,
    anchor: Option<NaiveDate>,
    random: &mut Random,
) -> usize {
    let Cases { at, start, end } = Cases::of(zone, period, anchor, random);
    let rows =
        client.query(DIFFERENCES, &[&at, &start, &end, &period, &anchor, &zone.name()]).expect("the periods");
    let differences: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(differences.is_empty(), "{zone} {period} {anchor:?}: {}", differences.join("\n"));
    at.len()
}

#[test]
fn periods_are_right_in_every_zone_for_ten_years_and_every_anchor() {
    let cluster = Cluster::shared();
    let mut client = cluster.connect(&cluster.create_database());
    // What PostgreSQL shows an instant in is not what a period is computed in.
    client.batch_execute("SET TimeZone = 'Asia/Tokyo'").expect("a setting");
    let mut random = Random::new(20);
    let mut checked = 0;
    for zone in ZONES {
        for period in PERIODS {
            checked += check(&mut client, zone, period, None, &mut random);
        }
        for day in 1..=31 {
            let month = [1, 3, 5, 7, 8, 10, 12][usize::try_from(random.below(7)).expect("small")];
            let anchor = NaiveDate::from_ymd_opt(2020 + random.below(9) as i32, month, day);
            for period in ["month", "quarter", "year"] {
                checked += check(&mut client, zone, period, anchor, &mut random);
            }
            if day <= 7 {
                checked += check(&mut client, zone, "week", anchor, &mut random);
            }
        }
    }
    assert!(checked > 500_000, "{checked}");
}

#[test]
fn a_rolling_window_begins_at_a_full_hour() {
    let cluster = Cluster::shared();
    let mut client = cluster.connect(&cluster.create_database());
    let row = client
        .query_one(
            "SELECT a.period_start = '2025-03-01T11:00:00Z', a.period_end IS NULL,
                    b.period_start = '2025-03-24T09:00:00Z'
               FROM llm_usage._budget_period('rolling', NULL, '30 days', 'UTC', '2025-03-31T11:59:59.999999Z') a,
                    llm_usage._budget_period('rolling', NULL, '7 days', 'Europe/Berlin', '2025-03-31T08:30:00Z') b",
            &[],
        )
        .expect("the periods");
    // 10:30 in Berlin, a week earlier, before the clock was put forward: 09:30 UTC.
    assert_eq!([row.get::<_, bool>(0), row.get(1), row.get(2)], [true; 3]);
}
