//! `numeric` as it is stored, to and from what is summed up: by way of their text costs would take longer than all else that is
//! done with them.

use llm_usage_core::amount::Amount;
use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use pgrx::varlena::varlena_to_byte_slice;

use crate::error::failed;

/// A `numeric` that the server has.
#[derive(Clone, Copy)]
pub struct Decimal(pg_sys::Datum);

impl Decimal {
    /// A `numeric` that lives as long as what is made of it.
    pub fn new(numeric: pg_sys::Datum) -> Self {
        Self(numeric)
    }

    /// It lives in the memory of the moment: what is made of a query's row ends with the query.
    pub fn of(amount: &Amount) -> Result<Self, ErrorReport> {
        if let Amount::Short { mantissa, scale } = amount
            && let (Ok(mantissa), Ok(scale)) = (i64::try_from(*mantissa), i32::try_from(*scale))
        {
            // SAFETY: any number and scale; the result is the server's own.
            let numeric = unsafe { pg_sys::int64_div_fast_to_numeric(mantissa, scale) };
            return Ok(Self(pg_sys::Datum::from(numeric)));
        }
        let numeric = AnyNumeric::try_from(amount.to_string().as_str()).map_err(failed)?;
        numeric.into_datum().map(Self).ok_or_else(|| failed("a numeric that is NULL"))
    }

    pub fn amount(self) -> Result<Amount, ErrorReport> {
        // SAFETY: a numeric, which is copied only if it is not stored plainly.
        let stored = unsafe { varlena_to_byte_slice(pg_sys::pg_detoast_datum_packed(self.0.cast_mut_ptr())) };
        if let Some(amount) = Short::read(stored).and_then(|short| short.amount()) {
            return Ok(amount);
        }
        // SAFETY: as above.
        let numeric = unsafe { AnyNumeric::from_datum(self.0, false) };
        let text = numeric.map(|numeric| numeric.to_string()).unwrap_or_default();
        text.parse::<bigdecimal::BigDecimal>().map(Amount::from).map_err(failed)
    }
}

/// The short form, in which most are stored: two bits of form, sign, six bits of scale, seven of signed weight, then digits of base
/// 10000, of which the first is worth 10000^weight.
struct Short<'a> {
    is_negative: bool,
    scale: i32,
    weight: i32,
    digits: &'a [u8],
}

impl<'a> Short<'a> {
    fn read(stored: &'a [u8]) -> Option<Self> {
        const FORM: u16 = 0xC000;
        const SHORT: u16 = 0x8000;
        const NEGATIVE: u16 = 0x2000;
        let (header, digits) = stored.split_first_chunk()?;
        let header = u16::from_ne_bytes(*header);
        (header & FORM == SHORT).then(|| Self {
            is_negative: header & NEGATIVE != 0,
            scale: i32::from(header >> 7 & 0x3F),
            weight: i32::from(header & 0x3F) - i32::from(header & 0x40),
            digits,
        })
    }

    /// `None` of more than 128 bits.
    fn amount(&self) -> Option<Amount> {
        let digits = self.digits.chunks_exact(2);
        let last_weight = self.weight + 1 - i32::try_from(digits.len()).ok()?;
        let mut mantissa = 0_i128;
        for digit in digits.map(|digit| i16::from_ne_bytes([digit[0], digit[1]])) {
            mantissa = mantissa.checked_mul(10_000)?.checked_add(digit.into())?;
        }
        let shift = last_weight * 4 + self.scale;
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        // Behind the scale there are zeros only.
        let mantissa = if shift < 0 { mantissa / power } else { mantissa.checked_mul(power)? };
        let mantissa = if self.is_negative { -mantissa } else { mantissa };
        Some(Amount::Short { mantissa, scale: self.scale.unsigned_abs() })
    }
}

/// Whether a stored `numeric` is certainly from 0 to below 10^12, with at most 60 decimals, read off its header: what every event
/// pays for is this and not the writing out of its digits.
pub fn is_small_amount(stored: &[u8]) -> bool {
    Short::read(stored).is_some_and(|short| !short.is_negative && short.weight < 3 && short.scale <= 60)
}

// SAFETY: the type is external and named as PostgreSQL names it.
unsafe impl SqlTranslatable for Decimal {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Decimal);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("numeric"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("numeric")));
}

// SAFETY: the argument is declared as numeric, and NULL is an Option.
unsafe impl<'fcx> ArgAbi<'fcx> for Decimal {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(|| panic!("the argument is NULL"))
    }
}

// SAFETY: the datum is a numeric.
unsafe impl BoxRet for Decimal {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

impl FromDatum for Decimal {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _type: pg_sys::Oid,
    ) -> Option<Self> {
        (!is_null).then_some(Self(datum))
    }
}

impl IntoDatum for Decimal {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::NUMERICOID
    }
}
