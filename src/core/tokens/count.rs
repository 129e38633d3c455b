//! Counts, as they stand in a usage object.

use super::ParseError;
use super::error::cut;
use serde_json::Value;

/// A single request of more tokens than this is taken for an error.
pub(super) const MAX_COUNT: i64 = crate::event::MOST_TOKENS;
/// The count at `pointer` (a JSON pointer); `None` where it is absent or null.
pub(super) fn count(usage: &Value, pointer: &str) -> Result<Option<i64>, ParseError> {
    let text = match usage.pointer(pointer) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => return Err(bad_count(pointer, &format!("\"{text}\""))),
        Some(Value::Array(_)) => return Err(bad_count(pointer, "an array")),
        Some(other) => return Err(bad_count(pointer, kind(other))),
    };
    match text.parse() {
        Ok(count) if (0..=MAX_COUNT).contains(&count) => Ok(Some(count)),
        _ => Err(bad_count(pointer, &text)),
    }
}

/// The first of several counts that is there.
pub(super) fn first_count(usage: &Value, pointers: &[&str]) -> Result<Option<i64>, ParseError> {
    let mut counts = pointers.iter().map(|pointer| count(usage, pointer));
    counts.find_map(Result::transpose).transpose()
}

/// Whether a count is there, good or bad.
pub(super) fn has(usage: &Value, pointer: &str) -> bool {
    usage.pointer(pointer).is_some_and(|value| !value.is_null())
}

pub(super) fn bad_count(pointer: &str, value: &str) -> ParseError {
    ParseError::BadCount { field: pointer.trim_start_matches('/').replace('/', "."), value: cut(value) }
}

/// The input outside the cache, for a format whose `input` has the cached tokens (read and written)
/// inside. A host may change that, so the provider's `total`, of `input` and `rest`, decides where
/// it can; and more cached tokens than input cannot lie inside it.
pub(super) fn uncached(input: i64, cached: i64, rest: i64, total: Option<i64>) -> Result<i64, ParseError> {
    match total {
        Some(total) if total == input + cached + rest => Ok(input),
        _ if cached <= input => Ok(input - cached),
        Some(total) if total != input + rest => Err(ParseError::Inconsistent { input, cached, total }),
        _ => Ok(input),
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array without an object",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::MAX_QUOTE;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_count_is_a_whole_number_within_bounds() {
        let read = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            count(&json!({"a": {"b": value}}), "/a/b").map_err(|error| error.message())
        };
        assert_eq!(read("null"), Ok(None));
        assert_eq!(read("0"), Ok(Some(0)));
        assert_eq!(read("2147483647"), Ok(Some(MAX_COUNT)));
        for bad in ["-1", "12.0", "1e+3", "2147483648", "99999999999999999999"] {
            let message = format!("\"a.b\" is not a token count: {bad}");
            assert_eq!(read(bad), Err(message));
        }
        let text = read("\"12\"").unwrap_err();
        assert_eq!(text, "\"a.b\" is not a token count: \"12\"");
        let boolean = read("true").unwrap_err();
        assert_eq!(boolean, "\"a.b\" is not a token count: a boolean");
        let long = read(&"9".repeat(500)).unwrap_err();
        assert_eq!(long.matches('9').count(), MAX_QUOTE - 1);
    }

    #[test]
    fn the_total_tells_where_cached_tokens_lie() {
        assert_eq!(uncached(4020, 4012, 4, Some(4024)), Ok(8), "inside");
        assert_eq!(uncached(12, 1028, 250, Some(1290)), Ok(12), "beside");
        assert_eq!(uncached(50, 40, 10, Some(100)), Ok(50), "beside, if fewer");
        assert_eq!(uncached(7, 163, 1, Some(8)), Ok(7), "not in the total");
        assert_eq!(uncached(7, 163, 1, None), Ok(7), "no total");
        let error = uncached(7, 163, 1, Some(99)).unwrap_err();
        assert!(error.message().contains("163") && error.detail().contains("99"));
    }
}
