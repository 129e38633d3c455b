use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use proptest::prelude::*;

use super::points::MOST_IN_ROW;
use super::*;
use crate::calendar::DAY;
use crate::points::Point;

const ALL_TIME: Range<i64> = i64::MIN..i64::MAX;
const NUMBERS: [i32; 8] = [7, 3, 5, 1, 8, 2, 6, 4];

fn line(llm_id: i64, vendor: Option<&'static str>, currency: &'static str) -> Line<'static> {
    Line { llm_id, model: "gpt-4o", vendor, currency }
}

fn event(occurred_at: i64, line: Line<'static>) -> Event<'static> {
    let cost = Some(Amount::Short { mantissa: 15, scale: 4 });
    Event {
        occurred_at,
        app_id: 1,
        user_id: None,
        line,
        requests: 1,
        input_tokens: 100,
        completion_tokens: 10,
        cost,
        rule: None,
    }
}

fn batch(events: &[Event]) -> Batch {
    let mut batch = Batch::default();
    for event in events {
        batch.add(event);
    }
    batch
}

#[test]
fn lines_differ_in_what_is_not_there_too() {
    let lines = [
        line(1, None, "USD"),
        line(1, Some(""), "USD"),
        line(1, Some("a"), "USD"),
        line(2, None, "USD"),
        line(1, None, "EUR"),
    ];
    let batch = batch(
        &lines
            .map(|line| event(0, line))
            .iter()
            .chain(&lines.map(|line| event(0, line)))
            .cloned()
            .collect::<Vec<_>>(),
    );
    assert_eq!(batch.lines().collect::<Vec<_>>(), lines);
    assert_eq!(batch.events(), 10);
    let rows = batch.by_app_day(&NUMBERS);
    assert_eq!(rows.iter().map(|(_, (sums, _))| sums.requests).collect::<Vec<_>>(), [2; 5]);
}

#[test]
fn time_before_1970_is_cut_as_any_other() {
    let batch = batch(&[event(-1, line(1, None, "USD"))]);
    let starts =
        [Grain::Hour, Grain::Day, Grain::Month].map(|grain| batch.by_user(grain, &ALL_TIME)[0].0.1 / HOUR);
    assert_eq!(starts, [-1, -24, -24 * 31]);
    let ((_, day, _), (_, hours)) = &batch.by_app_day(&NUMBERS)[0];
    assert_eq!((day / HOUR, hours[0]), (-24, 23));
    assert_eq!(batch.by_model_5min(&ALL_TIME, &NUMBERS).expect("points")[0].0, (7, -FIVE_MINUTES));
}

#[test]
fn an_unknown_grain_is_refused() {
    let error = Grain::parse("week").expect_err("no such grain");
    assert_eq!(error.message(), "unknown grain: \"week\"");
}

prop_compose! {
    fn any_event()(
        occurred_at in prop_oneof![-3 * DAY..3 * DAY, 0..2 * MINUTE],
        app_id in 0..3i64,
        user_id in prop::option::of(0..3i64),
        line in prop::sample::select(vec![
            line(0, None, "USD"), line(0, None, "EUR"), line(1, Some("openai"), "USD"), line(1, Some("azure"), "USD"),
        ]),
        requests in -1..=1i32,
        (input_tokens, completion_tokens) in (-50..500i64, -50..500i64),
        cost in prop::option::of((-1_000..100_000i128, 0..9u32)),
        rule in prop::option::of((prop::sample::select(vec!["pii", "toxicity"]), prop::option::of(Just("task")), 0..90i64)),
    ) -> Event<'static> {
        let cost = cost.map(|(mantissa, scale)| Amount::Short { mantissa, scale });
        let rule = rule.map(|(rule_type, task_id, inference_tokens)| Rule { rule_type, task_id, inference_tokens });
        Event { occurred_at, app_id, user_id, line, requests, input_tokens, completion_tokens, cost, rule }
    }
}

/// Requests, unpriced requests, input, completion and inference tokens, and the cost.
type Plain = ([i64; 5], BigDecimal);

fn decimal(amount: &Amount) -> BigDecimal {
    amount.to_string().parse().expect("a decimal")
}

/// What the rows of a rollup must be, by the keys that each event counts for.
fn naive<K: Ord>(events: &[Event<'static>], keys: impl Fn(&Event<'static>) -> Vec<K>) -> BTreeMap<K, Plain> {
    let mut rows: BTreeMap<K, Plain> = BTreeMap::new();
    for event in events {
        let requests = i64::from(event.requests);
        let unpriced = if event.cost.is_none() { requests } else { 0 };
        let inference = event.rule.map_or(0, |rule| rule.inference_tokens);
        for key in keys(event) {
            let (counts, cost) = rows.entry(key).or_default();
            let added = [requests, unpriced, event.input_tokens, event.completion_tokens, inference];
            counts.iter_mut().zip(added).for_each(|(count, more)| *count += more);
            *cost += event.cost.as_ref().map(decimal).unwrap_or_default();
        }
    }
    rows
}

fn plain<K: Ord>(rows: Rows<K>) -> BTreeMap<K, Plain> {
    let plain = |sums: Sums| {
        let Sums { requests, unpriced_requests, input_tokens, completion_tokens, inference_tokens, cost } =
            sums;
        let counts = [requests, unpriced_requests, input_tokens, completion_tokens, inference_tokens];
        (counts, decimal(&cost))
    };
    rows.into_iter().map(|(key, sums)| (key, plain(sums))).collect()
}

fn bucket(grain: Grain, at: i64) -> i64 {
    match grain {
        Grain::Hour => at.div_euclid(HOUR) * HOUR,
        Grain::Day => at.div_euclid(DAY) * DAY,
        Grain::Month => {
            if at < 0 {
                -31 * DAY
            } else {
                0
            }
        }
    }
}

proptest! {
    #[test]
    fn each_rollup_has_the_sums_of_its_events(
        events in prop::collection::vec(any_event(), 0..60),
        grain in prop::sample::select(vec![Grain::Hour, Grain::Day, Grain::Month]),
        bounds in prop::option::of((-2 * DAY..0, 0..2 * DAY)),
    ) {
        let batch = batch(&events);
        let within = bounds.map_or(ALL_TIME, |(from, to)| from..to);
        let lines: Vec<Line> = batch.lines().collect();
        let number = |event: &Event| NUMBERS[lines.iter().position(|line| *line == event.line).expect("a line")];
        let in_bounds = |at: i64| within.contains(&bucket(grain, at)).then(|| bucket(grain, at));

        let day = |e: &Event| bucket(Grain::Day, e.occurred_at);
        let expected = naive(&events, |e| vec![(e.app_id, day(e), number(e))]);
        let days = batch.by_app_day(&NUMBERS);
        prop_assert_eq!(plain(days.iter().map(|(key, (sums, _))| (*key, sums.clone())).collect()), expected);
        let counts = |[requests, _, input, completion, _]: [i64; 5]| [requests, input, completion];
        let expected = naive(&events, |e| vec![(e.app_id, number(e), bucket(Grain::Hour, e.occurred_at))]);
        let expected: BTreeMap<_, _> = expected.into_iter().map(|(key, (sums, _))| (key, counts(sums))).collect();
        let hours = days.iter().flat_map(|((app, day, number), (_, hours))| {
            HOURS.unpack(hours, *day).map(Result::unwrap).map(|(hour, sums)| ((*app, *number, hour), sums))
        });
        prop_assert_eq!(hours.collect::<BTreeMap<_, _>>(), expected);

        let (mut users, mut lines_of_apps, mut active) = Default::default();
        events.iter().for_each(|event| {
            loose::Users::add(&mut users, event);
            loose::AppLines::add(&mut lines_of_apps, event);
            loose::ActiveUsers::add(&mut active, event);
        });
        let expected = naive(&events, |e| vec![(day(e), e.user_id, e.line.currency)]);
        prop_assert_eq!(plain(users.rows().map(|(key, sums)| (key, sums.clone())).collect()), expected);
        let text = |line: Line| format!("{line:?}");
        let expected = naive(&events, |e| vec![(day(e), e.app_id, text(e.line))]);
        let found = lines_of_apps.rows().map(|((day, app, line), sums)| ((day, app, text(line)), sums.clone()));
        prop_assert_eq!(plain(found.collect()), expected);
        let mut expected: BTreeMap<i64, Bitmap> = BTreeMap::new();
        for e in events.iter().filter(|e| e.requests > 0) {
            e.user_id.into_iter().for_each(|user| expected.entry(day(e)).or_default().insert(user));
        }
        prop_assert_eq!(active.rows().map(|(day, users)| (day, users.clone())).collect::<BTreeMap<_, _>>(), expected);

        let expected = naive(&events, |e| {
            let at = in_bounds(e.occurred_at).into_iter();
            at.flat_map(|at| [Spender::App(e.app_id), Spender::Llm(e.line.llm_id)].map(|who| (at, who, e.line.currency))).collect()
        });
        prop_assert_eq!(plain(batch.by_entity(grain, &within)), expected);
        let months = batch.by_entity_month();
        let expected = batch.by_entity(Grain::Month, &ALL_TIME);
        prop_assert_eq!(months.iter().map(|(key, (sums, _))| (*key, sums.clone())).collect::<Vec<_>>(), expected);
        let expected = naive(&events, |e| {
            [Spender::App(e.app_id), Spender::Llm(e.line.llm_id)].map(|who| (day(e), who, e.line.currency)).to_vec()
        });
        let spent = |([requests, unpriced, input, completion, _], cost): Plain| {
            ([requests, unpriced, input + completion], cost.normalized())
        };
        let expected: BTreeMap<_, _> = expected.into_iter().map(|(key, sums)| (key, spent(sums))).collect();
        let days = months.iter().flat_map(|((month, who, currency), (_, days))| {
            DAYS.unpack(days, *month).map(Result::unwrap).map(|(day, spent)| {
                ((day, *who, *currency), (spent.counts, BigDecimal::from(spent.cost).normalized()))
            })
        });
        prop_assert_eq!(days.collect::<BTreeMap<_, _>>(), expected);
        let expected = naive(&events, |e| in_bounds(e.occurred_at).map(|at| (e.user_id, at, e.line.currency)).into_iter().collect());
        prop_assert_eq!(plain(batch.by_user(grain, &within)), expected);
        let expected = naive(&events, |e| vec![(number(e), bucket(grain, e.occurred_at))]);
        prop_assert_eq!(plain(batch.by_model(grain, &NUMBERS)), expected);
        let expected = naive(&events, |e| {
            e.rule.map(|rule| (bucket(grain, e.occurred_at), rule.rule_type, rule.task_id)).into_iter().collect()
        });
        prop_assert_eq!(plain(batch.by_rule(grain)), expected);
        let by_rule_type = |width: i64| {
            naive(&events, |e| {
                let rule_type = e.rule.map(|rule| rule.rule_type).into_iter();
                let at = e.occurred_at.div_euclid(width) * width;
                rule_type.flat_map(|rule_type| [e.app_id, -1].map(|app| (app, at, rule_type))).collect()
            })
        };
        prop_assert_eq!(plain(batch.by_rule_type_day()), by_rule_type(DAY));
        let hours = batch.by_rule_type_hour();
        prop_assert_eq!(plain(hours.iter().map(|(key, (sums, _))| (*key, sums.clone())).collect()), by_rule_type(HOUR));
        let counts = |[_, _, input, completion, inference]: [i64; 5]| [inference, input, completion];
        let expected: BTreeMap<_, _> =
            by_rule_type(MINUTE).into_iter().map(|(key, (sums, _))| (key, counts(sums))).collect();
        let minutes = hours.iter().flat_map(|((app, hour, rule), (_, minutes))| {
            MINUTES.unpack(minutes, *hour).map(Result::unwrap).map(|(minute, sums)| ((*app, minute, *rule), sums))
        });
        prop_assert_eq!(minutes.collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn five_minutes_hold_their_points_and_hours_their_users(
        events in prop::collection::vec(any_event(), 0..60),
        (from, to) in (-2 * DAY..0, 0..2 * DAY),
    ) {
        let (batch, within) = (batch(&events), from..to);
        let lines: Vec<Line> = batch.lines().collect();
        let start = |event: &Event| event.occurred_at.div_euclid(FIVE_MINUTES) * FIVE_MINUTES;
        for ((number, at), (sums, points)) in batch.by_model_5min(&within, &NUMBERS).expect("points") {
            let line = lines[NUMBERS.iter().position(|known| *known == number).expect("a number")];
            let of_row: Vec<&Event> = events.iter().filter(|e| e.line == line && start(e) == at).collect();
            prop_assert!(within.contains(&at));
            prop_assert_eq!(sums.requests, of_row.iter().map(|e| i64::from(e.requests)).sum::<i64>());
            prop_assert_eq!(decimal(&sums.cost), of_row.iter().filter_map(|e| e.cost.as_ref()).map(decimal).sum::<BigDecimal>());
            let found: Vec<Point> = crate::points::unpack(&points.expect("few")).expect("points");
            let mut expected: Vec<Point> = of_row.iter().map(|e| Point {
                at: e.occurred_at - at, requests: e.requests,
                input_tokens: e.input_tokens, completion_tokens: e.completion_tokens,
            }).collect();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
        let rows = batch.by_model_5min(&ALL_TIME, &NUMBERS).expect("points").len();
        prop_assert_eq!(rows, events.iter().map(|e| (lines.iter().position(|l| *l == e.line), start(e))).collect::<HashSet<_>>().len());

        let mut of_apps = BTreeMap::new();
        for e in events.iter().filter(|e| within.contains(&bucket(Grain::Hour, e.occurred_at))) {
            let place = lines.iter().position(|line| *line == e.line).expect("a line");
            let hour = bucket(Grain::Hour, e.occurred_at);
            of_apps.entry((e.app_id, hour, NUMBERS[place])).or_insert_with(Vec::new).push(Point {
                at: e.occurred_at - hour, requests: e.requests,
                input_tokens: e.input_tokens, completion_tokens: e.completion_tokens,
            });
        }
        of_apps.values_mut().for_each(|points| points.sort());
        let rows = batch.by_app_hour(&within, &NUMBERS).expect("points");
        let sums = rows.iter().map(|(key, (sums, _))| (*key, sums.clone())).collect();
        let expected = naive(&events, |e| {
            let hour = bucket(Grain::Hour, e.occurred_at);
            let place = lines.iter().position(|line| *line == e.line).expect("a line");
            within.contains(&hour).then(|| (e.app_id, hour, NUMBERS[place])).into_iter().collect()
        });
        prop_assert_eq!(plain(sums), expected);
        let unpacked = |points: &Option<Vec<u8>>| crate::points::unpack(points.as_ref().expect("few")).expect("points");
        let found: BTreeMap<_, _> = rows.iter().map(|(key, (_, points))| (*key, unpacked(points))).collect();
        prop_assert_eq!(found, of_apps);
        prop_assert!(batch.by_app_points(&within, &NUMBERS).is_ok_and(|rows| rows.is_empty()));
        prop_assert!(batch.by_model_points(&within, &NUMBERS).is_ok_and(|rows| rows.is_empty()));

        let mut users: BTreeMap<(Option<i64>, i64), Bitmap> = BTreeMap::new();
        for e in events.iter().filter(|e| e.requests > 0 && within.contains(&bucket(Grain::Hour, e.occurred_at))) {
            for app in [Some(e.app_id), None] {
                if let Some(user) = e.user_id {
                    users.entry((app, bucket(Grain::Hour, e.occurred_at))).or_default().insert(user);
                }
            }
        }
        prop_assert_eq!(batch.active_users(Grain::Hour, &within).into_iter().collect::<BTreeMap<_, _>>(), users);
    }

    #[test]
    fn many_points_are_in_no_row_of_sums(event in any_event(), count in MOST_IN_ROW - 1..MOST_IN_ROW + 2) {
        let batch = batch(&vec![event; count]);
        let count_of = |points: &Vec<u8>| crate::points::unpack(points).expect("points").len();
        let of_apps = batch.by_app_hour(&ALL_TIME, &NUMBERS).expect("points");
        let of_models = batch.by_model_5min(&ALL_TIME, &NUMBERS).expect("points");
        let in_rows = [&of_apps[0].1.1, &of_models[0].1.1].map(|points| points.as_ref().map(count_of));
        let of_apps = batch.by_app_points(&ALL_TIME, &NUMBERS).expect("points");
        let of_models = batch.by_model_points(&ALL_TIME, &NUMBERS).expect("points");
        let many = [of_apps.first().map(|(_, points)| count_of(points)), of_models.first().map(|(_, points)| count_of(points))];
        let is_many = count > MOST_IN_ROW;
        prop_assert_eq!((in_rows, many), if is_many { ([None; 2], [Some(count); 2]) } else { ([Some(count); 2], [None; 2]) });
    }

    #[test]
    fn whoever_an_event_names_has_spent(events in prop::collection::vec(any_event(), 0..20)) {
        let mut spenders = Spenders::default();
        for half in events.chunks(10) {
            spenders.add(batch(half).spenders());
        }
        prop_assert_eq!(spenders.apps, events.iter().map(|e| e.app_id).collect());
        prop_assert_eq!(spenders.users, events.iter().filter_map(|e| e.user_id).collect());
        prop_assert_eq!(spenders.llms, events.iter().map(|e| e.line.llm_id).collect());
        prop_assert_eq!(spenders.models, events.iter().map(|e| e.line.model.into()).collect());
        prop_assert_eq!(spenders.vendors, events.iter().filter_map(|e| e.line.vendor.map(Into::into)).collect());
    }
}
