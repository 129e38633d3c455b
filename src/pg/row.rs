//! Rows in their parts: those of triggers, read from where the server has them already, and those that were looked up.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;

use llm_usage_core::calendar::DAY;
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::tupdesc::PgTupleDesc;
use pgrx::varlena::{varatt_is_1b_e, varatt_is_4b_c, varlena_to_byte_slice};

use super::{POSTGRES_EPOCH, known_generation, transaction_start};
use crate::error::failed;

/// The columns that are wanted of a table, in the order in which they are numbered then.
pub type Names = &'static [&'static str];

/// A row in its parts; columns are numbered as their names were given.
pub struct Columns<'a> {
    places: Rc<[usize]>,
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl<'a> Columns<'a> {
    /// The row that an INSERT is about to write, as its trigger sees it, in the parts that the server has made of it already.
    pub fn of(trigger: &'a PgTrigger, names: Names) -> Result<Self, ErrorReport> {
        let data = trigger.trigger_data();
        let slot = data.tg_trigslot;
        if slot.is_null() {
            return Err(failed("the trigger is not one of a row"));
        }
        // SAFETY: the server keeps relation and slot while the trigger runs; a slot has a place for each column.
        unsafe {
            let natts = (*(*data.tg_relation).rd_att).natts;
            if i32::from((*slot).tts_nvalid) < natts {
                pg_sys::slot_getsomeattrs_int(slot, natts);
            }
            let natts = usize::try_from(natts).map_err(failed)?;
            Ok(Self {
                places: places(data.tg_relation, names)?,
                values: std::slice::from_raw_parts((*slot).tts_values, natts),
                nulls: std::slice::from_raw_parts((*slot).tts_isnull, natts),
            })
        }
    }

    /// A row that is about to be written, whose values stand in the order of the names.
    pub fn in_order(values: &'a [pg_sys::Datum], nulls: &'a [bool]) -> Self {
        thread_local! {
            static IN_ORDER: RefCell<Rc<[usize]>> = RefCell::new(Rc::new([]));
        }
        let places = IN_ORDER.with_borrow_mut(|places| {
            if places.len() < values.len() {
                *places = (0..values.len()).collect();
            }
            places.clone()
        });
        Self { places, values, nulls }
    }

    pub fn datum(&self, column: usize) -> Option<pg_sys::Datum> {
        let place = self.places[column];
        (!self.nulls[place]).then(|| self.values[place])
    }

    pub fn is_null(&self, column: usize) -> bool {
        self.nulls[self.places[column]]
    }

    /// A `bigint`, 0 for NULL.
    pub fn number(&self, column: usize) -> i64 {
        self.datum(column).map_or(0, |datum| datum.value() as i64)
    }

    /// A `timestamptz` in microseconds since 1970.
    pub fn instant(&self, column: usize) -> i64 {
        self.number(column).saturating_add(POSTGRES_EPOCH)
    }

    /// A `date` in days since 1970.
    pub fn day(&self, column: usize) -> i64 {
        self.number(column).saturating_add(POSTGRES_EPOCH / DAY)
    }

    pub fn text(&self, column: usize) -> Option<&str> {
        // SAFETY: the callers name columns of type text.
        unsafe { <&str>::from_datum(self.datum(column)?, false) }
    }

    /// The bytes of a text or numeric, none for NULL.
    pub fn bytes(&self, column: usize) -> &[u8] {
        let Some(datum) = self.datum(column) else { return &[] };
        // SAFETY: the callers name columns of a type of variable length; what is not stored plainly is copied.
        unsafe {
            let stored: *const pg_sys::varlena = datum.cast_mut_ptr();
            match varatt_is_1b_e(stored) || varatt_is_4b_c(stored) {
                true => <&[u8]>::from_datum(datum, false).unwrap_or_default(),
                false => varlena_to_byte_slice(stored),
            }
        }
    }

    /// The text of a `numeric`, empty for NULL.
    pub fn decimal(&self, column: usize) -> String {
        // SAFETY: the callers name columns of type numeric.
        let number = self.datum(column).and_then(|datum| unsafe { AnyNumeric::from_datum(datum, false) });
        number.map(|number| number.to_string()).unwrap_or_default()
    }

    /// Whether a `jsonb` is an object.
    pub fn is_json_object(&self, column: usize) -> bool {
        const OBJECT: u32 = 0x2000_0000;
        let header = self.bytes(column).first_chunk().map(|header| u32::from_ne_bytes(*header));
        header.is_some_and(|header| header & OBJECT != 0)
    }

    /// The text of a `jsonb`, empty for NULL.
    pub fn json(&self, column: usize) -> String {
        // SAFETY: the callers name columns of type jsonb.
        self.datum(column).map(|json| unsafe { output(pg_sys::jsonb_out, json) }).unwrap_or_default()
    }

    /// The fields that a `jsonb` has of these, as `->>` gives them; what it takes to find them is freed.
    pub fn json_fields<'k>(
        &self,
        column: usize,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Vec<(String, String)> {
        let mut keys = keys.into_iter().peekable();
        let Some(json) = self.datum(column).filter(|_| keys.peek().is_some()) else { return Vec::new() };
        let field = |key: &str| {
            let args = [Some(json), key.into_datum()];
            // SAFETY: the callers name columns of type jsonb, and the function takes one and a text.
            let field: Option<String> =
                unsafe { pgrx::direct_function_call(pg_sys::jsonb_object_field_text, &args) };
            field.map(|field| (key.to_owned(), field))
        };
        // SAFETY: the texts that are handed over are our own.
        unsafe { PgMemoryContexts::new("fields of a jsonb").switch_to(|_| keys.filter_map(field).collect()) }
    }

    /// The text of an `interval`, empty for NULL.
    pub fn interval(&self, column: usize) -> String {
        // SAFETY: the callers name columns of type interval.
        self.datum(column)
            .map(|interval| unsafe { output(pg_sys::interval_out, interval) })
            .unwrap_or_default()
    }

    /// A copy of a value of variable length, for what lives longer than the row.
    pub fn copied(&self, column: usize) -> Option<pg_sys::Datum> {
        // SAFETY: the callers name columns of such a type.
        self.datum(column).map(|datum| unsafe { pg_sys::pg_detoast_datum_copy(datum.cast_mut_ptr()).into() })
    }

    /// A value of the type that the column is of.
    pub fn value<T: FromDatum>(&self, column: usize) -> Option<T> {
        // SAFETY: the callers name the type of the column.
        unsafe { T::from_datum(self.datum(column)?, false) }
    }

    /// The row as it is.
    pub fn unchanged<'t>(
        trigger: &'t PgTrigger<'t>,
    ) -> Result<Option<PgHeapTuple<'t, AllocatedByPostgres>>, ErrorReport> {
        let data = trigger.trigger_data();
        // SAFETY: the slot of a row whose trigger runs.
        let is_kept = unsafe { (*data.tg_trigslot).tts_ops == &raw const pg_sys::TTSOpsVirtual };
        if !is_kept || rows_of_transaction() <= MOST_KEPT {
            return Ok(trigger.new());
        }
        // SAFETY: the row's own tuple and descriptor; the copy lives as long as what the server does with the row.
        Ok(Some(unsafe {
            let copy = pg_sys::heap_copytuple(data.tg_trigtuple);
            PgHeapTuple::from_heap_tuple(PgTupleDesc::from_pg_unchecked((*data.tg_relation).rd_att), copy)
        }))
    }

    /// The row with other values in some columns.
    pub fn with<'t, const N: usize>(
        &self,
        trigger: &'t PgTrigger<'t>,
        changes: [(usize, Option<pg_sys::Datum>); N],
    ) -> Result<PgHeapTuple<'t, AllocatedByPostgres>, ErrorReport> {
        let data = trigger.trigger_data();
        let mut numbers = [0; N];
        for (number, (column, _)) in numbers.iter_mut().zip(&changes) {
            *number = i32::try_from(self.places[*column] + 1).map_err(failed)?;
        }
        let mut values = changes.map(|(_, value)| value.unwrap_or(pg_sys::Datum::from(0)));
        let mut nulls = changes.map(|(_, value)| value.is_none());
        // SAFETY: N columns of this row's descriptor, each with a datum of its type.
        unsafe {
            let descriptor = (*data.tg_relation).rd_att;
            let tuple = pg_sys::heap_modify_tuple_by_cols(
                data.tg_trigtuple,
                descriptor,
                i32::try_from(N).map_err(failed)?,
                numbers.as_mut_ptr(),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            Ok(PgHeapTuple::from_heap_tuple(PgTupleDesc::from_pg_unchecked(descriptor), tuple))
        }
    }
}

/// The arguments of a call, numbered as they stand there.
pub fn with_arguments<T>(call: pg_sys::FunctionCallInfo, use_them: impl FnOnce(&Columns) -> T) -> T {
    // SAFETY: the call is the running one, and has so many arguments.
    let arguments = unsafe {
        let count = usize::try_from((*call).nargs).unwrap_or_default();
        (*call).args.as_slice(count)
    };
    let values: Vec<pg_sys::Datum> = arguments.iter().map(|argument| argument.value).collect();
    let nulls: Vec<bool> = arguments.iter().map(|argument| argument.isnull).collect();
    use_them(&Columns::in_order(&values, &nulls))
}

/// The text of a value by its type's function.
///
/// # Safety
/// The value is of that type.
unsafe fn output(
    function: unsafe fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum,
    value: pg_sys::Datum,
) -> String {
    // SAFETY: as the caller says.
    let text: Option<&CStr> = unsafe { pgrx::direct_function_call(function, &[Some(value)]) };
    text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Room for the rows of a table, one after the other.
pub struct Room {
    descriptor: pg_sys::TupleDesc,
    places: Rc<[usize]>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Room {
    /// # Safety
    /// The relation is open, and stays so.
    pub unsafe fn of(relation: pg_sys::Relation, names: Names) -> Result<Self, ErrorReport> {
        // SAFETY: the relation is open.
        unsafe {
            let descriptor = (*relation).rd_att;
            let count = usize::try_from((*descriptor).natts).map_err(failed)?;
            let (values, nulls) = (vec![pg_sys::Datum::from(0); count], vec![true; count]);
            Ok(Self { descriptor, places: places(relation, names)?, values, nulls })
        }
    }

    /// # Safety
    /// The row is one of the relation's.
    pub unsafe fn read(&mut self, row: pg_sys::HeapTuple) -> Columns<'_> {
        let (values, nulls) = (self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
        // SAFETY: there is room for each column of the row.
        unsafe { pg_sys::heap_deform_tuple(row, self.descriptor, values, nulls) };
        Columns { places: self.places.clone(), values: &self.values, nulls: &self.nulls }
    }
}

/// Of a partition laid out as its table is, the server keeps the tuple that a trigger gives back as it was until the statement ends: one
/// that loads a history of millions would take all memory. From so many on each row is given back as a copy, which costs a little and
/// is freed.
const MOST_KEPT: u64 = 10_000;

thread_local! {
    /// When the transaction began, and the rows that were counted of it.
    static ROWS: Cell<(i64, u64)> = const { Cell::new((0, 0)) };
}

fn rows_of_transaction() -> u64 {
    let now = transaction_start();
    let (transaction, rows) = ROWS.get();
    let rows = if transaction == now { rows + 1 } else { 1 };
    ROWS.set((now, rows));
    rows
}

/// A table and the list of names itself, by where that is and how long: the same of one list, and of no two.
type Asked = (pg_sys::Oid, *const &'static str, usize);

/// Where each table has the [`Columns`] that are asked for.
struct Places {
    generation: u64,
    tables: HashMap<Asked, Rc<[usize]>>,
    /// What was asked for last: rows come in runs.
    last: Option<(Asked, Rc<[usize]>)>,
}

impl Places {
    fn of(&mut self, asked: Asked, generation: u64) -> Option<Rc<[usize]>> {
        if self.generation != generation {
            *self = Self { generation, tables: HashMap::new(), last: None };
        }
        if let Some((last, places)) = &self.last
            && *last == asked
        {
            return Some(places.clone());
        }
        let places = self.tables.get(&asked)?.clone();
        self.last = Some((asked, places.clone()));
        Some(places)
    }
}

thread_local! {
    static PLACES: RefCell<Places> =
        RefCell::new(Places { generation: 0, tables: HashMap::new(), last: None });
}

/// Where a partition has its columns, remembered while no table changes: it need not have them where its parent has.
///
/// # Safety
/// The relation is open.
pub(super) unsafe fn places(relation: pg_sys::Relation, names: Names) -> Result<Rc<[usize]>, ErrorReport> {
    // SAFETY: the relation is open.
    let (generation, oid) = (known_generation(), unsafe { (*relation).rd_id });
    let asked = (oid, names.as_ptr(), names.len());
    if let Some(places) = PLACES.with_borrow_mut(|known| known.of(asked, generation)) {
        return Ok(places);
    }
    // SAFETY: the descriptor lives as long as the relation is open.
    let descriptor = unsafe { PgTupleDesc::from_pg_unchecked((*relation).rd_att) };
    let place = |name: &str| {
        let found = descriptor.iter().position(|column| !column.attisdropped && column.name() == name);
        found.ok_or_else(|| failed(format!("there is no column {name}")))
    };
    let places: Rc<[usize]> = names.iter().copied().map(place).collect::<Result<_, _>>()?;
    PLACES.with_borrow_mut(|known| known.tables.insert(asked, places.clone()));
    Ok(places)
}
