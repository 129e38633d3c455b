//! Whether a call may go ahead by its budgets (`sql/check_budget.sql`, `sql/reserve_budget.sql`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use bigdecimal::BigDecimal;
use llm_usage_core::budget::{self, Answer, Budget, Call, Entity, Kind, Standing, Unit, Unpriced, Verdict};
use llm_usage_core::event::MOST_BYTES;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;

use crate::error::failed;
use crate::locks;
use crate::pg;
use crate::pg::row::Names;
use crate::query::{self, Row};

use call::Asker;

pub mod call;
mod holds;
pub mod snapshot;
mod spent;
mod tail;

/// Sums of rollups, budgets and calls that a session remembers at most, of each.
const MOST_REMEMBERED: usize = 10_000;

/// The columns of `_held`, in the order in which they are read and written.
const HELD: Names = &["budget_id", "hold_id", "expires_at", "amount"];

/// A budget in its present period, and where to look for what is spent.
struct Asked {
    id: i64,
    budget: Budget,
    entity: Entity,
    /// Whether it converts other currencies.
    converts: bool,
    counted: (i64, i64),
    resets_at: Option<TimestampWithTimeZone>,
    /// When all this is so, as long as the budget is not changed.
    holds: (i64, i64),
}

/// The budgets that a call counts for; its attributes may be of any depth and are not read here.
fn budgets_of(call: &Asker) -> Result<Vec<i64>, ErrorReport> {
    let generation = pg::generation();
    pg::with_latest_snapshot(|is_remembered| {
        // A longer one is in no budget and no event.
        let is_short = |text: Option<&str>| text.is_none_or(|text| text.len() <= MOST_BYTES);
        let texts = [call.model, call.vendor, call.attrs.as_deref()];
        let is_remembered = is_remembered && texts.into_iter().all(is_short);
        let known = is_remembered
            .then(|| CALLS.with_borrow_mut(|known| known.of(generation).get(&call.key()).cloned()));
        if let Some(ids) = known.flatten() {
            return Ok(ids);
        }
        let args = [
            call.app_id.into(),
            call.llm_id.into(),
            call.user_id.into(),
            call.model.into(),
            call.vendor.into(),
            call.attrs.as_deref().into(),
        ];
        let ids = query::select_by_index(include_str!("budgets_of.sql"), &args, |row| row.id(1))?;
        if is_remembered && pg::generation() == generation {
            CALLS.with_borrow_mut(|known| known.of(generation).insert(call.key(), ids.clone()));
        }
        Ok(ids)
    })
}

/// What is decided on a call: what of the budget that decides is gone, and what the call takes of each.
pub struct Decision {
    verdict: &'static str,
    /// Its id, what is spent, held and remains of it, and when it resets; `None` where none is shown.
    deciding: Option<(i64, Standing, BigDecimal, Option<TimestampWithTimeZone>)>,
    reason: String,
    amounts: Vec<(i64, BigDecimal)>,
}

/// Decides by some budgets as they stand now, all seen in one snapshot. To reserve, the hard ones stay locked until the transaction
/// ends. Of budgets that are not to be shown only those decide that stop the call, and where none that is stops it.
fn decide(
    mut ids: Vec<i64>,
    call: &Call,
    to_reserve: bool,
    shown_ids: Option<&[i64]>,
) -> Result<Decision, ErrorReport> {
    ids.sort_unstable();
    let answers = match (ids.is_empty(), to_reserve) {
        (true, _) => Vec::new(),
        (false, true) => answers_under_locks(&ids, call)?,
        (false, false) => answers(&ids, call)?,
    };
    let is_shown = |id: i64| shown_ids.is_none_or(|ids| ids.contains(&id));
    let deciding = answers
        .iter()
        .filter(|(asked, _, answer)| is_shown(asked.id) || answer.verdict == Verdict::Denied)
        .max_by(|(one, _, a), (other, _, b)| {
            let is_own = |asked: &Asked, answer: &Answer| (answer.verdict, is_shown(asked.id));
            is_own(one, a)
                .cmp(&is_own(other, b))
                .then_with(|| budget::decides((&one.budget, a), (&other.budget, b)))
        });
    let amounts = answers.iter().map(|(asked, _, answer)| (asked.id, answer.amount.clone())).collect();
    Ok(match deciding {
        None => Decision { verdict: "allowed", deciding: None, reason: "No budget applies.".into(), amounts },
        Some((asked, standing, answer)) => {
            let verdict = answer.verdict.word();
            let shown = (asked.id, standing.clone(), answer.remaining.clone(), asked.resets_at);
            match is_shown(asked.id) {
                true => Decision { verdict, deciding: Some(shown), reason: answer.reason.clone(), amounts },
                false => Decision { verdict, deciding: None, reason: "No room is left.".into(), amounts },
            }
        }
    })
}

type Answers = Vec<(Rc<Asked>, Standing, Answer)>;

/// Who reserves sees what others have committed, not what they are about to. So a hard budget is locked until the hold is
/// committed: alone where it is near its limit; together with others as long as it is far, that is, if a tenth of it is left even
/// after this call, and the call takes at most a tenth divided by the number of transactions there can be: what all of those
/// hold and nobody sees yet fits into what is left. That counts on one unseen hold a transaction: a transaction that may have
/// written locks alone. In the order of their keys, so that nobody waits in a circle.
fn answers_under_locks(ids: &[i64], call: &Call) -> Result<Answers, ErrorReport> {
    let generation = pg::generation();
    let asked =
        pg::with_latest_snapshot(|is_remembered| asked_of(ids, call, is_remembered.then_some(generation)))?;
    let hard: Vec<i64> = asked.iter().filter(|asked| asked.budget.is_hard).map(|asked| asked.id).collect();
    let mut alone = if pg::may_have_written() { hard.clone() } else { Vec::new() };
    loop {
        let locks = budget::locks(&hard, &alone);
        for (key, is_alone) in &locks {
            pg::lock_until_end(locks::BUDGETS, *key, *is_alone);
        }
        let answers = answers(ids, call)?;
        let near = answers.iter().filter(|(_, _, answer)| !answer.is_far).map(|(asked, ..)| asked.id);
        let near: Vec<i64> = near.filter(|id| hard.contains(id) && !alone.contains(id)).collect();
        if near.is_empty() {
            return Ok(answers);
        }
        for (key, is_alone) in &locks {
            pg::release_lock(locks::BUDGETS, *key, *is_alone);
        }
        alone.extend(near);
    }
}

fn answers(ids: &[i64], call: &Call) -> Result<Answers, ErrorReport> {
    // Before the snapshot: what was changed after it may not be remembered as it was.
    let generation = pg::generation();
    pg::with_latest_snapshot(|is_remembered| {
        let transactions = pg::most_transactions();
        let asked = asked_of(ids, call, is_remembered.then_some(generation))?;
        let folded = if is_remembered { tail::read(generation)? } else { None };
        let mut answers = Vec::with_capacity(asked.len());
        for asked in asked {
            let standing = asked.standing(folded, generation)?;
            if let Some(answer) = asked.budget.answer(call, &standing, transactions) {
                answers.push((asked, standing, answer));
            }
        }
        Ok(answers)
    })
}

/// Budgets by their ids, as the session remembers them at a generation; read where it does not, or is not to.
fn asked_of(ids: &[i64], call: &Call, generation: Option<u64>) -> Result<Vec<Rc<Asked>>, ErrorReport> {
    let now = pg::now();
    let mut found: Vec<Rc<Asked>> = Vec::with_capacity(ids.len());
    if let Some(generation) = generation {
        BUDGETS.with_borrow_mut(|known| {
            let known = known.of(generation);
            let is_present = |asked: &&Rc<Asked>| (asked.holds.0..asked.holds.1).contains(&now);
            found.extend(ids.iter().filter_map(|id| known.get(id)).filter(is_present).cloned());
        });
    }
    if found.len() < ids.len() {
        let missing: Vec<i64> =
            ids.iter().copied().filter(|id| found.iter().all(|asked| asked.id != *id)).collect();
        let args = [missing.into(), call.currency.as_deref().into()];
        let read =
            query::select_by_index(include_str!("budgets.sql"), &args, |row| asked(&row).map(Rc::new))?;
        if let Some(generation) = generation
            && pg::generation() == generation
        {
            BUDGETS.with_borrow_mut(|known| {
                // What an exchange rate is part of depends on the call.
                let lasting = read.iter().filter(|asked| !asked.converts);
                known.of(generation).extend(lasting.map(|asked| (asked.id, asked.clone())));
            });
        }
        found.extend(read);
        found.sort_unstable_by_key(|asked| asked.id);
    }
    Ok(found)
}

/// A row of `budgets.sql`.
fn asked(row: &Row) -> Result<Asked, ErrorReport> {
    let converts: bool = row.get(12)?.unwrap_or_default();
    let unit = match row.text(8)?.as_str() {
        "tokens" => Unit::Tokens,
        "requests" => Unit::Requests,
        _ => Unit::Money {
            currency: row.text(9)?,
            unpriced: match row.text(10)?.as_str() {
                "allow" => Unpriced::Allow,
                "fallback" => Unpriced::Fallback(row.decimal(11)?.unwrap_or_default()),
                _ => Unpriced::Deny,
            },
            rate: if converts { Some(row.decimal(13)?) } else { None },
        },
    };
    Ok(Asked {
        id: row.id(1)?,
        budget: Budget {
            entity: row.text(5)?,
            name: row.text(6)?,
            amount: row.decimal(7)?.unwrap_or_default(),
            unit,
            is_hard: row.get(14)?.unwrap_or(true),
            resets_at: row.get(18)?,
        },
        entity: Entity { kind: kind(&row.text(2)?)?, id: row.get(3)?, key: row.get(21)?, value: row.get(4)? },
        converts,
        counted: (row.instant(15)?, row.instant(17)?),
        resets_at: row.get(16)?,
        holds: (row.instant(19)?, row.instant(20)?),
    })
}

/// What a row says that it is of.
pub fn kind(word: &str) -> Result<Kind, ErrorReport> {
    Kind::named(word).ok_or_else(|| failed(format!("an entity of type {word}")))
}

/// What a session remembers as long as no table changes: its definition, or as its trigger announces.
struct Remembered<K, V> {
    generation: u64,
    entries: HashMap<K, V>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { generation: 0, entries: HashMap::new() }
    }
}

impl<K, V> Remembered<K, V> {
    fn of(&mut self, generation: u64) -> &mut HashMap<K, V> {
        if self.generation != generation || self.entries.len() >= MOST_REMEMBERED {
            (self.generation, self.entries) = (generation, HashMap::new());
        }
        &mut self.entries
    }
}

/// App, LLM, user, model, vendor and attributes of a call.
type CallKey = (Option<i64>, Option<i64>, Option<i64>, Option<String>, Option<String>, Option<String>);

thread_local! {
    static CALLS: RefCell<Remembered<CallKey, Vec<i64>>> = RefCell::default();
    static BUDGETS: RefCell<Remembered<i64, Rc<Asked>>> = RefCell::default();
}
