//! Exact numbers: the text of a `numeric` becomes a JSON number digit by digit, never through a float.

use bigdecimal::BigDecimal;
use serde::{Serialize, Serializer};
use serde_json::Number;

/// Digits before the point that a cost of one event may have.
const MOST_DIGITS: usize = 15;
/// The same of what corrects it: corrections by hand add up.
const MOST_CORRECTED_DIGITS: usize = 30;
/// Digits before the point that the price of a token may have.
const MOST_PRICE_DIGITS: usize = 5;
/// Digits behind the point of any amount: sums of more would fit no `numeric`.
const MOST_DECIMALS: usize = 60;

/// The longest amount that is believed, and the most digits that an exponent may stand for.
const MOST_LETTERS: usize = 60;

/// So many digits any machine number has.
const MOST_COUNTED_LETTERS: usize = 19;

/// A number exactly as PostgreSQL wrote it, or as it was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exact {
    Written(Number),
    Counted(i128),
}

impl Exact {
    /// From the text of a finite `numeric`; `None` for NaN, Infinity and anything else that is no JSON number.
    pub fn parse(text: &str) -> Option<Self> {
        match text.len() < MOST_COUNTED_LETTERS && text.bytes().all(|letter| letter.is_ascii_digit()) {
            true => text.parse().ok().map(Self::Counted),
            false => text.parse().ok().map(Self::Written),
        }
    }
}

impl From<i128> for Exact {
    fn from(number: i128) -> Self {
        Self::Counted(number)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Written(number) => number.serialize(serializer),
            Self::Counted(number) => match i64::try_from(*number) {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.serialize_i128(*number),
            },
        }
    }
}

/// Whether the amount is one an event may cost: plain decimal, not negative, below 10^15, with at most 60 decimals.
pub fn is_cost(text: &str) -> bool {
    is_decimal(text, MOST_DIGITS)
}

/// Whether the amount is one that an event's cost may be corrected by: the same, of either sign, below 10^30.
pub fn is_correction(text: &str) -> bool {
    is_decimal(text.strip_prefix('-').unwrap_or(text), MOST_CORRECTED_DIGITS)
}

fn is_decimal(text: &str, most_digits: usize) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && whole.trim_start_matches('0').len() <= most_digits
        && fraction.len() <= MOST_DECIMALS
}

/// The amount as a JSON number if it is one an event may cost.
pub fn cost(text: &str) -> Option<Number> {
    let significant = text.trim_start_matches('0');
    let zero = if significant.starts_with(|first: char| first.is_ascii_digit()) { "" } else { "0" };
    is_cost(text).then(|| format!("{zero}{significant}").parse().ok())?
}

/// An amount that may have an exponent, written out; `None` where it has more digits than any amount, or an exponent that would
/// write as many.
pub fn plain(text: &str) -> Option<String> {
    let amount: BigDecimal = text.parse().ok().filter(|_| text.len() <= MOST_LETTERS)?;
    let written_out = amount.fractional_digit_count().unsigned_abs() <= MOST_LETTERS as u64;
    written_out.then(|| amount.normalized().to_plain_string())
}

/// The price of a token as a JSON number if it is a decimal (an exponent is allowed) from 0 to below 100000: no event costs 10^15.
pub fn price(text: &str) -> Option<Number> {
    let number: Number = text.parse().ok()?;
    is_decimal(&plain(text)?, MOST_PRICE_DIGITS).then_some(number)
}

/// Whether a decimal number is zero, whatever its scale.
pub fn is_zero(number: &Number) -> bool {
    let text = number.to_string();
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_survives() {
        for text in ["0.0006", "12345678901234567890.123456789", "0", "-3.50"] {
            let exact = Exact::parse(text).expect("a number");
            assert_eq!(serde_json::to_string(&exact).expect("json"), text);
        }
        for number in [0, -1, i128::from(i64::MAX), i128::from(i64::MAX) + 1, i128::MIN] {
            assert_eq!(serde_json::to_string(&Exact::from(number)).expect("json"), number.to_string());
        }
        assert_eq!(Exact::parse("NaN"), None);
        assert_eq!(Exact::parse("Infinity"), None);
    }

    #[test]
    fn a_cost_is_plain_not_negative_and_below_the_bound() {
        let accepted = [("0", "0"), ("007.50", "7.50"), ("0.000081", "0.000081")];
        for (text, written) in accepted {
            assert_eq!(cost(text).expect(text).to_string(), written);
        }
        assert_eq!(cost("999999999999999").map(|n| n.to_string()), Some("999999999999999".into()));
        let decimals = |count: usize| format!("0.{}", "1".repeat(count));
        assert!(is_cost(&decimals(60)) && !is_cost(&decimals(61)));
        let corrected = |digits: usize| format!("-{}.5", "9".repeat(digits));
        assert!(
            is_correction(&corrected(30)) && !is_correction(&corrected(31)) && !is_correction(&decimals(61))
        );
        let refused = ["1000000000000000", "-1", "", ".", "1.", ".5", "1e3", "NaN", " 1", "1 "];
        for text in refused {
            assert_eq!(cost(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_exponent_is_written_out_as_far_as_an_amount_goes() {
        let written = [("1e-05", "0.00001"), ("2.50E+2", "250"), ("0.1", "0.1"), ("-1e-7", "-0.0000001")];
        for (text, plainly) in written {
            assert_eq!(plain(text).as_deref(), Some(plainly));
        }
        for absurd in ["1e999999", "1e-99999", "", "e5", &"9".repeat(61)] {
            assert_eq!(plain(absurd), None, "{absurd:?}");
        }
        for absurd in ["1e999999", "1e-99999", "1e5", "100000.5", "1e-61"] {
            assert_eq!(price(absurd), None, "{absurd}");
        }
        assert_eq!(price("99999.5").map(|n| n.to_string()), Some("99999.5".into()));
    }

    #[test]
    fn zero_has_many_spellings() {
        for (text, zero) in [("0", true), ("0.000", true), ("0e-7", true), ("1e-7", false)] {
            assert_eq!(is_zero(&price(text).expect(text)), zero, "{text}");
        }
        assert_eq!(price("-1e-7"), None);
    }
}
