//! Whether a call may go ahead by one of its budgets, and why, in words for a user.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, Signed, Zero};

/// What budgets are of, in the order in which `budget_usage()` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Llm,
    App,
    User,
    Model,
    Vendor,
    Attribute,
    All,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::App, Self::Llm, Self::User, Self::Model, Self::Vendor, Self::Attribute, Self::All];

    /// By its word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// `budgets.entity_type`.
    pub fn word(self) -> &'static str {
        match self {
            Self::App => "App",
            Self::Llm => "LLM",
            Self::User => "User",
            Self::Model => "Model",
            Self::Vendor => "Vendor",
            Self::Attribute => "Attribute",
            Self::All => "All",
        }
    }
}

/// What a budget is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entity {
    pub kind: Kind,
    pub id: Option<i64>,
    /// Of an attribute.
    pub key: Option<String>,
    pub value: Option<String>,
}

/// What a budget in money makes of a call whose price is not known.
#[derive(Debug, Clone, PartialEq)]
pub enum Unpriced {
    Deny,
    Allow,
    Fallback(BigDecimal),
}

/// What the amount of a budget counts.
#[derive(Debug, Clone, PartialEq)]
pub enum Unit {
    Tokens,
    Requests,
    Money {
        currency: String,
        unpriced: Unpriced,
        /// How much of the budget's currency one of the call's is, where the budget converts it.
        rate: Option<Option<BigDecimal>>,
    },
}

/// A budget in its present period.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// As a user knows it: `App 7`, `team = red`.
    pub entity: String,
    pub name: String,
    pub amount: BigDecimal,
    pub unit: Unit,
    pub is_hard: bool,
    /// When its period ends, as it is shown.
    pub resets_at: Option<String>,
}

/// What a call may take at most.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// `None`: its price is not known.
    pub cost: Option<BigDecimal>,
    /// `None`: any, since it costs nothing.
    pub currency: Option<String>,
    pub tokens: i64,
}

/// What of a budget is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub spent: BigDecimal,
    pub held: BigDecimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Allowed,
    Warned,
    Denied,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warned => "warned",
            Self::Denied => "denied",
        }
    }
}

/// What one budget says to a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub verdict: Verdict,
    /// What the call takes of it.
    pub amount: BigDecimal,
    pub remaining: BigDecimal,
    pub reason: String,
    /// Whether calls like it may be let go ahead by many transactions that do not see each other (see `reserve_budget`).
    pub is_far: bool,
}

impl Budget {
    /// What the call takes; `None`: it does not count, being in another currency; `Some(None)`: nobody knows.
    fn taken_by(&self, call: &Call) -> Option<Option<BigDecimal>> {
        match (&self.unit, &call.cost) {
            (Unit::Requests, _) => Some(Some(1.into())),
            (Unit::Tokens, _) => Some(Some(call.tokens.into())),
            (Unit::Money { unpriced, .. }, None) => Some(match unpriced {
                Unpriced::Deny => None,
                Unpriced::Allow => Some(BigDecimal::zero()),
                Unpriced::Fallback(price) => Some(price.clone()),
            }),
            (Unit::Money { currency, rate, .. }, Some(cost)) => {
                if call.currency.as_ref().is_none_or(|paid_in| paid_in == currency) {
                    return Some(Some(cost.clone()));
                }
                rate.as_ref().map(|rate| rate.as_ref().map(|rate| cost * rate))
            }
        }
    }

    /// `None`: the call does not count for it. At most `transactions` of them can be under way at once.
    pub fn answer(&self, call: &Call, standing: &Standing, transactions: i64) -> Option<Answer> {
        let taken = self.taken_by(call)?;
        let gone = &standing.spent + &standing.held;
        let remaining = &self.amount - &gone;
        let fits = taken.as_ref().is_some_and(|taken| remaining.is_positive() && *taken <= remaining);
        let verdict = match (fits, self.is_hard) {
            (true, _) => Verdict::Allowed,
            (false, false) => Verdict::Warned,
            (false, true) => Verdict::Denied,
        };
        let reason = match (&taken, verdict) {
            (_, Verdict::Allowed) => format!("The {} has {} left.", self.label(), self.shown(&remaining)),
            (None, _) if call.cost.is_some() => format!(
                "There is no exchange rate from {} to the currency of the {}.",
                call.currency.as_deref().unwrap_or_default(),
                self.label()
            ),
            (None, _) => {
                format!("The price of the model is not known, and the {} allows no such model.", self.label())
            }
            (Some(_), _) => self.no_room(standing),
        };
        let amount = taken.unwrap_or_default();
        let reserve = &self.amount / BigDecimal::from(10);
        let is_far = !self.is_hard || remaining - &amount >= reserve && &amount * transactions <= reserve;
        Some(Answer { verdict, amount, remaining: &self.amount - gone, reason, is_far })
    }

    fn label(&self) -> String {
        match self.name.as_str() {
            "" => format!("budget of {}", self.entity),
            name => format!("budget \"{name}\" of {}", self.entity),
        }
    }

    fn shown(&self, amount: &BigDecimal) -> String {
        let unit = match &self.unit {
            Unit::Tokens => "tokens",
            Unit::Requests => "requests",
            Unit::Money { currency, .. } => currency,
        };
        format!("{} {unit}", plain(amount))
    }

    fn no_room(&self, Standing { spent, held }: &Standing) -> String {
        let mut reason = format!(
            "The {} has no room for this call: {} of {} are spent, {} are held by calls under way.",
            self.label(),
            plain(spent),
            self.shown(&self.amount),
            plain(held)
        );
        if let Some(resets_at) = &self.resets_at {
            reason.push_str(&format!(" It begins anew at {resets_at}."));
        }
        reason
    }
}

/// Without zeros at its end, and without an exponent.
fn plain(amount: &BigDecimal) -> String {
    amount.normalized().to_plain_string()
}

/// Which of two answers decides: the stricter one, then the one that leaves the smaller part of its budget.
pub fn decides(one: (&Budget, &Answer), other: (&Budget, &Answer)) -> Ordering {
    let left = |(budget, answer): (&Budget, &Answer)| match budget.amount.is_positive() {
        true => &answer.remaining / &budget.amount,
        false => answer.remaining.clone(),
    };
    one.1.verdict.cmp(&other.1.verdict).then_with(|| left(other).cmp(&left(one)))
}

/// The locks of some budgets in the order in which all take them, so that nobody waits in a circle, and whether each is taken alone.
/// Two budgets of one key wait for each other, and do no harm.
pub fn locks(ids: &[i64], alone: &[i64]) -> BTreeMap<i32, bool> {
    let mut locks = BTreeMap::new();
    for id in ids {
        let key = (id % (i64::from(i32::MAX) + 1)) as i32;
        *locks.entry(key).or_default() |= alone.contains(id);
    }
    locks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> BigDecimal {
        text.parse().unwrap()
    }

    fn budget(amount: &str, unpriced: Unpriced) -> Budget {
        Budget {
            entity: "App 7".into(),
            name: String::new(),
            amount: decimal(amount),
            unit: Unit::Money { currency: "USD".into(), unpriced, rate: None },
            is_hard: true,
            resets_at: Some("2025-07-01 00:00 UTC".into()),
        }
    }

    fn call(cost: Option<&str>) -> Call {
        Call { cost: cost.map(decimal), currency: Some("USD".into()), tokens: 10 }
    }

    fn standing(spent: &str, held: &str) -> Standing {
        Standing { spent: decimal(spent), held: decimal(held) }
    }

    fn verdict(budget: &Budget, call: &Call, standing: &Standing) -> Option<Verdict> {
        budget.answer(call, standing, 100).map(|answer| answer.verdict)
    }

    #[test]
    fn locks_are_taken_in_the_order_of_their_keys_each_once() {
        const ROUND: i64 = 1 << 31;
        let taken = |ids: &[i64], alone: &[i64]| locks(ids, alone).into_iter().collect::<Vec<_>>();
        assert_eq!(taken(&[5, ROUND + 3], &[]), [(3, false), (5, false)]);
        assert_eq!(taken(&[3, ROUND + 3, ROUND + 5], &[ROUND + 3]), [(3, true), (5, false)]);
        assert_eq!(taken(&[-1, i64::MIN, i64::MAX], &[]), [(-1, false), (0, false), (i32::MAX, false)]);
    }

    #[test]
    fn the_last_cent_may_be_spent_and_not_one_more() {
        let budget = budget("100", Unpriced::Deny);
        let of = |cost, spent, held| verdict(&budget, &call(Some(cost)), &standing(spent, held));
        assert_eq!(of("0.01", "99.98", "0.01"), Some(Verdict::Allowed));
        assert_eq!(of("0.010000001", "99.98", "0.01"), Some(Verdict::Denied));
        assert_eq!(of("0", "99.99", "0.01"), Some(Verdict::Denied));
        assert_eq!(of("0", "99.99", "0"), Some(Verdict::Allowed));
    }

    #[test]
    fn a_call_without_a_price_is_up_to_the_policy() {
        let nothing = standing("0", "0");
        let of = |unpriced| verdict(&budget("1", unpriced), &call(None), &nothing);
        assert_eq!(of(Unpriced::Deny), Some(Verdict::Denied));
        assert_eq!(of(Unpriced::Allow), Some(Verdict::Allowed));
        assert_eq!(of(Unpriced::Fallback(decimal("1"))), Some(Verdict::Allowed));
        assert_eq!(of(Unpriced::Fallback(decimal("1.1"))), Some(Verdict::Denied));
        let soft = Budget { is_hard: false, ..budget("1", Unpriced::Deny) };
        assert_eq!(verdict(&soft, &call(None), &nothing), Some(Verdict::Warned));
    }

    #[test]
    fn another_currency_does_not_count_unless_it_is_converted() {
        let euros = Call { currency: Some("EUR".into()), ..call(Some("50")) };
        let with = |rate| {
            let unit = Unit::Money { currency: "USD".into(), unpriced: Unpriced::Deny, rate };
            verdict(&Budget { unit, ..budget("100", Unpriced::Deny) }, &euros, &standing("0", "0"))
        };
        assert_eq!(with(None), None);
        assert_eq!(with(Some(Some(decimal("2")))), Some(Verdict::Allowed));
        assert_eq!(with(Some(Some(decimal("2.01")))), Some(Verdict::Denied));
        assert_eq!(with(Some(None)), Some(Verdict::Denied));
    }

    #[test]
    fn the_reason_names_the_budget_and_what_is_gone() {
        let answer =
            budget("100.00", Unpriced::Deny).answer(&call(Some("5")), &standing("95.50", "0.5"), 100);
        assert_eq!(
            answer.unwrap().reason,
            "The budget of App 7 has no room for this call: 95.5 of 100 USD are spent, 0.5 are held by calls under way. \
             It begins anew at 2025-07-01 00:00 UTC."
        );
        let named = Budget { name: "trial".into(), unit: Unit::Tokens, ..budget("30", Unpriced::Deny) };
        let answer = named.answer(&call(None), &standing("5", "5"), 100).unwrap();
        assert_eq!(answer.reason, "The budget \"trial\" of App 7 has 20 tokens left.");
    }

    proptest! {
        #[test]
        fn what_many_reserve_unseen_fits_as_long_as_it_is_far(
            amount in 1..1_000_000_i64, spent in 0..1_000_000_i64, cost in 0..10_000_i64, transactions in 1..500_i64
        ) {
            let budget = budget(&amount.to_string(), Unpriced::Deny);
            let (call, standing) = (call(Some(&cost.to_string())), standing(&spent.to_string(), "0"));
            let answer = budget.answer(&call, &standing, transactions).expect("it counts");
            let worst = spent + cost * (transactions + 1);
            prop_assert!(!answer.is_far || worst <= amount);
            prop_assert_eq!(answer.verdict == Verdict::Allowed, spent < amount && spent + cost <= amount);
        }
    }
}
