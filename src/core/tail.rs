//! What is not folded yet, as budgets ask for it: sums of each entity by quarters of an hour, in which no period of a budget begins
//! or ends, unless its time zone is a former one.

use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;

use bigdecimal::BigDecimal;

use crate::budget::{Entity, Kind};

/// In microseconds.
const QUARTER: i64 = 900_000_000;

/// An event as budgets count it.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// In microseconds since 1970.
    pub occurred_at: i64,
    pub app_id: i64,
    pub llm_id: i64,
    pub user_id: Option<i64>,
    pub model: &'a str,
    pub vendor: Option<&'a str>,
    /// Keys that the tail has, and their values.
    pub attrs: Vec<(String, String)>,
    pub currency: &'a str,
    pub requests: i64,
    /// `None`: it is not priced.
    pub cost: Option<BigDecimal>,
    pub tokens: i64,
}

/// What events add up to, in one currency.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    pub cost: BigDecimal,
    pub requests: i64,
    pub unpriced_requests: i64,
    pub tokens: i64,
}

impl AddAssign<&Sums> for Sums {
    fn add_assign(&mut self, other: &Sums) {
        self.cost += &other.cost;
        self.requests += other.requests;
        self.unpriced_requests += other.unpriced_requests;
        self.tokens += other.tokens;
    }
}

/// By their number since 1970, and by currency.
type Quarters = BTreeMap<i64, Vec<(Box<str>, Sums)>>;

#[derive(Debug, Default)]
pub struct Tail {
    numbered: HashMap<(Kind, i64), Quarters>,
    models: HashMap<Box<str>, Quarters>,
    vendors: HashMap<Box<str>, Quarters>,
    /// By key and value.
    attrs: HashMap<Box<str>, HashMap<Box<str>, Quarters>>,
    all: Quarters,
    size: usize,
}

impl Tail {
    /// An empty one, which tells attributes of these keys apart.
    pub fn of_keys(keys: impl IntoIterator<Item = Box<str>>) -> Self {
        Self { attrs: keys.into_iter().map(|key| (key, HashMap::new())).collect(), ..Self::default() }
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.attrs.keys().map(|key| &**key)
    }

    pub fn has(&self, key: &str) -> bool {
        self.attrs.contains_key(key)
    }

    /// How many sums it keeps.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn add(&mut self, event: &Event) {
        let numbered = [
            Some((Kind::App, event.app_id)),
            Some((Kind::Llm, event.llm_id)),
            event.user_id.map(|id| (Kind::User, id)),
        ];
        self.size += add_to(&mut self.all, event);
        for entity in numbered.into_iter().flatten() {
            self.size += add_to(self.numbered.entry(entity).or_default(), event);
        }
        self.size += add_to(named(&mut self.models, event.model), event);
        if let Some(vendor) = event.vendor {
            self.size += add_to(named(&mut self.vendors, vendor), event);
        }
        for (key, value) in &event.attrs {
            if let Some(values) = self.attrs.get_mut(key.as_str()) {
                self.size += add_to(named(values, value), event);
            }
        }
    }

    /// What an entity did in `[from, to)`: costs in the currency, the rest in all. `None` if that cannot be told.
    pub fn sums(&self, entity: &Entity, range: (i64, i64), currency: &str) -> Option<Sums> {
        let mut sums = Sums::default();
        for (_, paid_in, part) in self.parts(entity, range)? {
            match paid_in == currency {
                true => sums += part,
                false => sums += &Sums { cost: BigDecimal::default(), ..part.clone() },
            }
        }
        Some(sums)
    }

    /// The same by the quarters of an hour in which it did, told by when they begin, and by currency.
    pub fn parts(
        &self,
        entity: &Entity,
        (from, to): (i64, i64),
    ) -> Option<impl Iterator<Item = (i64, &str, &Sums)>> {
        if from.rem_euclid(QUARTER) != 0 || to.rem_euclid(QUARTER) != 0 {
            return None;
        }
        let value = entity.value.as_deref();
        let quarters = match entity.kind {
            Kind::App | Kind::Llm | Kind::User => self.numbered.get(&(entity.kind, entity.id?)),
            Kind::Model => self.models.get(value?),
            Kind::Vendor => self.vendors.get(value?),
            Kind::All => Some(&self.all),
            Kind::Attribute => self.attrs.get(entity.key.as_deref()?)?.get(value?),
        };
        let asked = from.div_euclid(QUARTER)..to.div_euclid(QUARTER).max(from.div_euclid(QUARTER));
        let quarters = quarters.into_iter().flat_map(move |quarters| quarters.range(asked.clone()));
        Some(quarters.flat_map(|(quarter, parts)| {
            parts.iter().map(move |(paid_in, part)| (quarter * QUARTER, &**paid_in, part))
        }))
    }
}

fn named<'a>(entities: &'a mut HashMap<Box<str>, Quarters>, name: &str) -> &'a mut Quarters {
    if !entities.contains_key(name) {
        entities.insert(name.into(), Quarters::new());
    }
    entities.get_mut(name).expect("it was put there")
}

/// How many sums came to it.
fn add_to(quarters: &mut Quarters, event: &Event) -> usize {
    let parts = quarters.entry(event.occurred_at.div_euclid(QUARTER)).or_default();
    let place = parts.iter().position(|(currency, _)| **currency == *event.currency);
    let part = match place {
        Some(place) => &mut parts[place].1,
        None => &mut parts.push_mut((event.currency.into(), Sums::default())).1,
    };
    match &event.cost {
        Some(cost) => part.cost += cost,
        None => part.unpriced_requests += event.requests,
    }
    part.requests += event.requests;
    part.tokens += event.tokens;
    usize::from(place.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 3] = ["one", "two", "three"];
    const KEYS: [&str; 3] = ["team", "key", "unknown"];

    fn event() -> impl Strategy<Value = Event<'static>> {
        let name = || proptest::sample::select(&NAMES[..]);
        let ids = (0..3_i64, 0..3_i64, proptest::option::of(0..3_i64));
        let names = (name(), proptest::option::of(name()), proptest::sample::select(&["USD", "EUR"][..]));
        let attrs = proptest::collection::btree_map(
            proptest::sample::select(&KEYS[..]),
            name().prop_map(str::to_owned),
            0..3,
        );
        let figures = (-1..2_i64, proptest::option::of(-1000..1000_i64), -50..5000_i64);
        let all = (-5 * QUARTER..5 * QUARTER, ids, names, attrs, figures);
        all.prop_map(|(occurred_at, ids, names, attrs, figures)| Event {
            occurred_at,
            app_id: ids.0,
            llm_id: ids.1,
            user_id: ids.2,
            model: names.0,
            vendor: names.1,
            attrs: attrs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            currency: names.2,
            requests: figures.0,
            cost: figures.1.map(|cost| BigDecimal::new(cost.into(), 3)),
            tokens: figures.2,
        })
    }

    fn entity() -> impl Strategy<Value = Entity> {
        let kind = proptest::sample::select(&Kind::ALL[..]);
        let key = proptest::sample::select(&KEYS[..]);
        (kind, 0..4_i64, key, proptest::sample::select(&["one", "two", "four"][..])).prop_map(
            |(kind, id, key, value)| Entity {
                kind,
                id: Some(id),
                key: Some(key.to_owned()),
                value: Some(value.to_owned()),
            },
        )
    }

    fn did(entity: &Entity, event: &Event) -> bool {
        match entity.kind {
            Kind::App => entity.id == Some(event.app_id),
            Kind::Llm => entity.id == Some(event.llm_id),
            Kind::User => event.user_id.is_some() && entity.id == event.user_id,
            Kind::Model => entity.value.as_deref() == Some(event.model),
            Kind::Vendor => event.vendor.is_some() && entity.value.as_deref() == event.vendor,
            Kind::Attribute => event.attrs.iter().any(|(key, value)| {
                entity.key.as_deref() == Some(key) && entity.value.as_ref() == Some(value)
            }),
            Kind::All => true,
        }
    }

    proptest! {
        #[test]
        fn the_sums_are_those_of_the_events(
            events in proptest::collection::vec(event(), 0..60), entity in entity(), from in -6..6_i64, to in -6..6_i64
        ) {
            let (from, to) = (from * QUARTER, to * QUARTER);
            let mut tail = Tail::of_keys(["team".into(), "key".into()]);
            events.iter().for_each(|event| tail.add(event));
            let mut sums = Sums::default();
            for event in events.iter().filter(|event| did(&entity, event) && (from..to).contains(&event.occurred_at)) {
                sums.requests += event.requests;
                sums.tokens += event.tokens;
                match &event.cost {
                    Some(cost) if event.currency == "USD" => sums.cost += cost,
                    Some(_) => {}
                    None => sums.unpriced_requests += event.requests,
                }
            }
            let is_told = entity.kind != Kind::Attribute || entity.key.as_deref() != Some("unknown");
            prop_assert_eq!(tail.sums(&entity, (from, to), "USD"), is_told.then_some(sums));
            prop_assert!(tail.size() <= 8 * events.len());
        }
    }

    #[test]
    fn a_bound_within_a_quarter_cannot_be_told() {
        let all = Entity { kind: Kind::All, id: None, key: None, value: None };
        let tail = Tail::default();
        assert_eq!(tail.sums(&all, (0, QUARTER), "USD"), Some(Sums::default()));
        assert_eq!(tail.sums(&all, (1, QUARTER), "USD"), None);
        assert_eq!(tail.sums(&all, (0, QUARTER - 1), "USD"), None);
    }
}
