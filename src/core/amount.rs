//! Exact decimals as they are summed up: what costs have is a few digits, and to add those to others allocates nothing.

use std::fmt;
use std::ops::AddAssign;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Signed, Zero};

/// A decimal and its scale, the digits behind the point: a sum has the greatest of its parts', as in PostgreSQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    /// `mantissa` / 10^`scale`.
    Short {
        mantissa: i128,
        scale: u32,
    },
    Long(Box<BigDecimal>),
}

impl Amount {
    fn long(&self) -> BigDecimal {
        match self {
            Self::Short { mantissa, scale } => BigDecimal::new(BigInt::from(*mantissa), i64::from(*scale)),
            Self::Long(decimal) => (**decimal).clone(),
        }
    }

    /// This amount so many times.
    pub fn times(&self, count: i64) -> Self {
        if let Self::Short { mantissa, scale } = self
            && let Some(mantissa) = mantissa.checked_mul(count.into())
        {
            return Self::Short { mantissa, scale: *scale };
        }
        (self.long() * BigInt::from(count)).into()
    }

    /// The same without zeros at its end: amounts that are equal are the same then.
    pub fn shortest(self) -> Self {
        let (mut mantissa, mut scale) = match self {
            Self::Short { mantissa, scale } => (mantissa, scale),
            Self::Long(decimal) => {
                let decimal = decimal.normalized();
                let decimal =
                    if decimal.fractional_digit_count() < 0 { decimal.with_scale(0) } else { decimal };
                let (mantissa, scale) = decimal.as_bigint_and_exponent();
                match (i128::try_from(mantissa), u32::try_from(scale)) {
                    (Ok(mantissa), Ok(scale)) => (mantissa, scale),
                    _ => return decimal.into(),
                }
            }
        };
        while scale > 0 && mantissa % 10 == 0 {
            (mantissa, scale) = (mantissa / 10, scale - 1);
        }
        Self::Short { mantissa, scale }
    }

    pub fn is_zero(&self) -> bool {
        match self {
            Self::Short { mantissa, .. } => *mantissa == 0,
            Self::Long(amount) => amount.is_zero(),
        }
    }

    /// As a percentage of another, rounded half away from zero to ten digits behind the point; 0 where that is not above 0.
    pub fn percentage_of(&self, whole: &Self) -> Self {
        const SCALE: i64 = 10;
        // Twice what turns a share into a percentage of so many digits: a half more is a whole one then.
        const TWICE: i64 = 2_000_000_000_000;
        let (part, whole) = (self.long(), whole.long());
        if !whole.is_positive() {
            return Self::default();
        }
        let scale = part.fractional_digit_count().max(whole.fractional_digit_count());
        let [part, whole] = [part, whole].map(|decimal| decimal.with_scale(scale).into_bigint_and_scale().0);
        let half = if part.is_negative() { -&whole } else { whole.clone() };
        Self::from(BigDecimal::new((part * TWICE + half) / (whole * 2), SCALE)).shortest()
    }

    /// The sum while it is short.
    fn short_sum(&self, other: &Self) -> Option<Self> {
        let (Self::Short { mantissa, scale }, Self::Short { mantissa: added, scale: their_scale }) =
            (self, other)
        else {
            return None;
        };
        let aligned = |mantissa: i128, scale: u32, to: u32| match to - scale {
            0 => Some(mantissa),
            digits => 10_i128.checked_pow(digits)?.checked_mul(mantissa),
        };
        let common = *scale.max(their_scale);
        let sum = aligned(*mantissa, *scale, common)?.checked_add(aligned(*added, *their_scale, common)?)?;
        Some(Self::Short { mantissa: sum, scale: common })
    }
}

impl Default for Amount {
    fn default() -> Self {
        Self::Short { mantissa: 0, scale: 0 }
    }
}

impl From<BigDecimal> for Amount {
    fn from(decimal: BigDecimal) -> Self {
        Self::Long(Box::new(decimal))
    }
}

impl From<Amount> for BigDecimal {
    fn from(amount: Amount) -> Self {
        amount.long()
    }
}

impl AddAssign<&Amount> for Amount {
    fn add_assign(&mut self, other: &Self) {
        *self = match self.short_sum(other) {
            Some(sum) => sum,
            None => {
                let (one, other) = (self.long(), other.long());
                let scale = one.fractional_digit_count().max(other.fractional_digit_count());
                (one + other).with_scale(scale).into()
            }
        };
    }
}

impl fmt::Display for Amount {
    /// All digits of its scale, and no exponent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Short { mantissa, scale } = self
            && let Some(unit) = 10_u128.checked_pow(*scale)
        {
            let sign = if *mantissa < 0 { "-" } else { "" };
            let (whole, fraction) = (mantissa.unsigned_abs() / unit, mantissa.unsigned_abs() % unit);
            return match *scale as usize {
                0 => write!(formatter, "{sign}{whole}"),
                digits => write!(formatter, "{sign}{whole}.{fraction:0digits$}"),
            };
        }
        formatter.write_str(&self.long().to_plain_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn short(mantissa: i128, scale: u32) -> Amount {
        Amount::Short { mantissa, scale }
    }

    #[test]
    fn a_sum_has_all_digits_of_its_parts() {
        let mut sum = Amount::default();
        for (part, expected) in [
            (short(0, 6), "0.000000"),
            (short(12_345, 6), "0.012345"),
            (short(-5, 1), "-0.487655"),
            (short(3, 0), "2.512345"),
        ] {
            sum += &part;
            assert_eq!(sum.to_string(), expected);
            assert!(matches!(sum, Amount::Short { .. }));
        }
    }

    #[test]
    fn a_sum_outgrows_128_bits() {
        let mut sum = short(i128::MAX, 2);
        sum += &short(1, 2);
        assert_eq!(sum.to_string(), "1701411834604692317316873037158841057.28");
        let mut sum = short(1, 0);
        sum += &short(1, 60);
        assert_eq!(sum.to_string(), format!("1.{}1", "0".repeat(59)));
        sum += &short(-1, 0);
        assert_eq!(sum.to_string(), format!("0.{}1", "0".repeat(59)));
    }

    fn any_amount() -> impl Strategy<Value = Amount> {
        let mantissa = prop_oneof![8 => -1_000_000..1_000_000_i128, 1 => any::<i128>()];
        let scale = prop_oneof![8 => 0..12u32, 1 => 0..60u32];
        (mantissa, scale, any::<bool>()).prop_map(|(mantissa, scale, is_long)| match is_long {
            false => short(mantissa, scale),
            true => short(mantissa, scale).long().into(),
        })
    }

    proptest! {
        #[test]
        fn a_product_is_that_of_big_decimals(amount in any_amount(), count in any::<i64>()) {
            let expected = amount.long() * BigDecimal::from(count);
            prop_assert_eq!(amount.times(count).long(), expected.clone());
            let shortest = amount.times(count).shortest();
            let written = expected.normalized().to_plain_string();
            prop_assert_eq!(shortest.to_string(), written.clone());
            prop_assert_eq!(shortest, Amount::from(expected.with_scale(70)).shortest(), "{}", written);
        }

        #[test]
        fn a_percentage_is_that_of_big_decimals(part in any_amount(), whole in any_amount()) {
            let found = part.percentage_of(&whole).long();
            prop_assert_eq!(&found, &Amount::from(part.long()).percentage_of(&whole.long().into()).long());
            match whole.long() > BigDecimal::default() {
                false => prop_assert_eq!(found, BigDecimal::default()),
                // What is left of the part by the percentage that was found is at most half of its last digit.
                true => {
                    let left: BigDecimal = part.long() * 100 - &found * whole.long();
                    let most = whole.long() * BigDecimal::new(5.into(), 11);
                    prop_assert!(left.abs() < most || (left.abs() == most && left.is_negative() != part.long().is_negative()));
                    prop_assert!(found.fractional_digit_count() <= 10);
                }
            }
        }

        #[test]
        fn it_is_written_as_a_big_decimal_is(amount in any_amount()) {
            let expected = amount.long().to_plain_string();
            prop_assert_eq!(amount.to_string(), expected.clone());
            prop_assert_eq!(amount.is_zero(), expected.chars().all(|digit| matches!(digit, '0' | '.' | '-')));
            prop_assert!(amount.times(0).is_zero());
        }

        #[test]
        fn a_sum_is_that_of_big_decimals(parts in prop::collection::vec(any_amount(), 0..20)) {
            let mut sum = Amount::default();
            let (mut expected, mut scale) = (BigDecimal::default(), 0);
            for part in &parts {
                let part_alone: BigDecimal = part.to_string().parse().expect("a decimal");
                scale = scale.max(part_alone.fractional_digit_count());
                expected += part_alone;
                sum += part;
            }
            prop_assert_eq!(sum.to_string(), expected.with_scale(scale).to_plain_string());
        }
    }
}
