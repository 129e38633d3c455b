//! `budget_activity` and `budget_usage`.

use std::collections::BTreeSet;

use bigdecimal::{BigDecimal, Zero};
use chrono::{Datelike, Days, NaiveDate};
use serde_json::{Value, json};

use super::{amount, day_name, digits, whole};
use crate::ledger::{Book, Budget, Edge, Event};

/// What one LLM or App has spent.
#[derive(Debug, Clone, PartialEq)]
pub struct Spending {
    pub entity_type: &'static str,
    pub entity_id: i64,
    pub name: String,
    pub budget: Option<Budget>,
    pub currency: String,
    /// The first day of the budget period, and the first after it.
    pub period: (NaiveDate, NaiveDate),
    pub spent: BigDecimal,
    pub unpriced_requests: i128,
    pub total_cost: BigDecimal,
    pub total_tokens: i128,
    pub user_id: i64,
    pub user_email: Option<String>,
}

/// `budget_activity` of a day and a range of days, each row as a text.
pub const BUDGET_ACTIVITY: &str =
    "SELECT concat_ws('|', entity_type, entity_id, name, trim_scale(budget), currency,
              to_char(budget_start_date, 'YYYY-MM-DD'), to_char(period_start, 'YYYY-MM-DD'),
              to_char(period_end, 'YYYY-MM-DD'), trim_scale(spent), unpriced_requests, trim_scale(total_cost),
              total_tokens, user_id, user_email)
            FROM llm_usage.budget_activity($1, $2, $3) ORDER BY entity_type = 'App', entity_id";

impl Spending {
    /// As [`BUDGET_ACTIVITY`] writes it: NULL is left out.
    pub fn text(&self) -> String {
        let budget = self.budget.as_ref();
        let fields = [
            Some(self.entity_type.to_owned()),
            Some(self.entity_id.to_string()),
            Some(self.name.clone()),
            budget.map(|budget| digits(&budget.amount)),
            Some(self.currency.clone()),
            budget.and_then(|budget| budget.start_date).map(|date| date.to_string()),
            Some(self.period.0.to_string()),
            Some(self.period.1.to_string()),
            Some(digits(&self.spent)),
            Some(self.unpriced_requests.to_string()),
            Some(digits(&self.total_cost)),
            Some(self.total_tokens.to_string()),
            Some(self.user_id.to_string()),
            self.user_email.clone(),
        ];
        fields.into_iter().flatten().collect::<Vec<String>>().join("|")
    }
}

/// Whether a budget that is anchored on a day of the month starts a period on this day.
pub fn is_period_start(anchor: u32, day: NaiveDate) -> bool {
    let is_last = (day + Days::new(1)).month() != day.month();
    day.day() == anchor || (is_last && day.day() < anchor)
}

/// The period that holds `today`: its first day, and the first day of the next one.
pub fn period(anchor: Option<NaiveDate>, today: NaiveDate) -> (NaiveDate, NaiveDate) {
    let anchor = anchor.map_or(1, |anchor| anchor.day());
    let starts = |day: &NaiveDate| is_period_start(anchor, *day);
    let back = (0..).map(|days| today - Days::new(days)).find(starts);
    let ahead = (1..).map(|days| today + Days::new(days)).find(starts);
    back.zip(ahead).expect("a period starts every month")
}

/// Every LLM, then every App, that has a budget, or an event in its period or on a day that `asked` accepts.
pub fn spending(book: &Book, today: NaiveDate, asked: impl Fn(NaiveDate) -> bool) -> Vec<Spending> {
    let mut rows = Vec::new();
    for (entity_type, id_of) in
        [("LLM", (|event| event.llm_id) as fn(&Event) -> i64), ("App", |event| event.app_id)]
    {
        let budgeted = book.budgets.iter().filter(|budget| budget.entity_type == entity_type);
        let used = book.events.iter().map(id_of).filter(|id| *id != 0);
        let ids: BTreeSet<i64> = budgeted.map(|budget| budget.entity_id).chain(used).collect();
        for id in ids {
            let events: Vec<&Event> = book.events.iter().filter(|event| id_of(event) == id).collect();
            rows.extend(entity_spending(book, entity_type, id, &events, today, &asked));
        }
    }
    rows
}

fn entity_spending(
    book: &Book,
    entity_type: &'static str,
    entity_id: i64,
    events: &[&Event],
    today: NaiveDate,
    asked: impl Fn(NaiveDate) -> bool,
) -> Option<Spending> {
    let is_this = |budget: &&Budget| (budget.entity_type, budget.entity_id) == (entity_type, entity_id);
    let budget = book.budgets.iter().find(is_this).cloned();
    let period = period(budget.as_ref().and_then(|budget| budget.start_date), today);
    let of_period: Vec<&Event> =
        events.iter().copied().filter(|event| (period.0..period.1).contains(&event.day())).collect();
    let of_days: Vec<&Event> = events.iter().copied().filter(|event| asked(event.day())).collect();
    if budget.is_none() && of_period.is_empty() && of_days.is_empty() {
        return None;
    }
    let default = book.default_currency.to_owned();
    let currency = budget.as_ref().map_or(default, |budget| budget.currency.clone());
    let cost = |events: &[&Event]| {
        let paid_in =
            |event: &&&Event| event.currency.as_deref().unwrap_or(book.default_currency) == currency;
        let costs = events.iter().filter(paid_in).filter_map(|event| event.cost.clone());
        costs.fold(BigDecimal::zero(), |sum, cost| sum + cost)
    };
    let registered = if entity_type == "App" { &book.apps } else { &book.llms };
    let registered = registered.iter().find(|entity| entity.id == entity_id);
    let owner = registered.and_then(|entity| entity.owner_id);
    Some(Spending {
        entity_type,
        entity_id,
        name: registered.map_or_else(|| format!("{entity_type} {entity_id}"), |entity| entity.name.clone()),
        spent: cost(&of_period),
        unpriced_requests: of_period
            .iter()
            .filter(|event| event.cost.is_none())
            .map(|event| event.requests())
            .sum(),
        total_cost: cost(&of_days),
        total_tokens: of_days.iter().map(|event| event.total()).sum(),
        user_id: owner.unwrap_or(0),
        user_email: owner
            .and_then(|owner| book.users.iter().find(|user| user.id == owner))
            .and_then(|user| user.email.clone()),
        budget,
        currency,
        period,
    })
}

/// The report; its `usage` is rounded to ten decimals, see [`same_but_for_usage`].
pub fn budget_usage(
    book: &Book,
    today: NaiveDate,
    start: Option<Edge<NaiveDate>>,
    end: Option<Edge<NaiveDate>>,
) -> String {
    let month_of = |day: NaiveDate| day - Days::new(day.day0().into());
    let asked = |day: NaiveDate| match (start, end) {
        (None, None) => month_of(day) == month_of(today),
        (Some(start), None) => start <= Edge::At(day) && day <= today,
        (Some(start), Some(end)) => start <= Edge::At(day) && Edge::At(day) <= end,
        (None, Some(Edge::At(end))) => month_of(end) <= day && day <= end,
        (None, Some(_)) => panic!("infinity has no month"),
    };
    let rows = spending(book, today, asked).into_iter().map(|row| {
        let usage = match &row.budget {
            Some(budget) if !budget.amount.is_zero() => {
                (&row.spent * BigDecimal::from(100) / &budget.amount).round(10)
            }
            _ => BigDecimal::zero(),
        };
        json!({
            "budget": row.budget.as_ref().map(|budget| amount(&budget.amount)),
            "budget_start_date": row.budget.as_ref().and_then(|budget| budget.start_date).map(day_name),
            "entity_id": row.entity_id, "entity_type": row.entity_type, "name": row.name,
            "spent": amount(&row.spent), "total_cost": amount(&row.total_cost),
            "total_tokens": whole(row.total_tokens), "usage": amount(&usage),
            "user_email": row.user_email, "user_id": row.user_id,
        })
    });
    Value::Array(rows.collect()).to_string()
}

/// Whether two answers of `budget_usage` are the same letter by letter, but for `usage`, of which six decimals count.
pub fn same_but_for_usage(one: &str, other: &str) -> bool {
    let ((one, one_usages), (other, other_usages)) = (without_usages(one), without_usages(other));
    let most: BigDecimal = "0.000001".parse().expect("digits");
    let near = |(a, b): (&BigDecimal, &BigDecimal)| (a - b).abs() < most;
    one == other && one_usages.len() == other_usages.len() && one_usages.iter().zip(&other_usages).all(near)
}

/// The text without the numbers of its `usage` keys, and those numbers. Inside a JSON string the key's quotes are escaped.
fn without_usages(text: &str) -> (String, Vec<BigDecimal>) {
    let key = "\"usage\":";
    let mut parts = text.split(key);
    let mut rest = parts.next().unwrap_or_default().to_owned();
    let mut usages = Vec::new();
    for part in parts {
        let (number, after) = part.split_at(part.find([',', '}']).unwrap_or(part.len()));
        usages.push(number.parse().expect("usage is a number"));
        rest.push_str(key);
        rest.push_str(after);
    }
    (rest, usages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    #[test]
    fn an_anchor_beyond_the_month_falls_on_its_last_day() {
        let at_31 = Some(date("2024-01-31"));
        let cases = [
            ("2025-02-27", "2025-01-31", "2025-02-28"),
            ("2025-02-28", "2025-02-28", "2025-03-31"),
            ("2024-02-29", "2024-02-29", "2024-03-31"),
            ("2025-04-30", "2025-04-30", "2025-05-31"),
            ("2026-01-01", "2025-12-31", "2026-01-31"),
        ];
        for (today, start, end) in cases {
            assert_eq!(period(at_31, date(today)), (date(start), date(end)), "{today}");
        }
        assert_eq!(period(None, date("2025-02-28")), (date("2025-02-01"), date("2025-03-01")));
        let at_30 = Some(date("2099-06-30"));
        assert_eq!(period(at_30, date("2025-03-29")), (date("2025-02-28"), date("2025-03-30")));
    }

    #[test]
    fn of_usage_six_decimals_count_and_of_the_rest_every_letter() {
        let answer = r#"[{"name":"a\"usage\":1","usage":33.3333333333,"user_id":0}]"#;
        assert!(same_but_for_usage(answer, &answer.replace("33.3333333333", "33.333333")));
        assert!(!same_but_for_usage(answer, &answer.replace("33.3333333333", "33.3334")));
        assert!(!same_but_for_usage(answer, &answer.replace(":1", ":2")));
    }
}
