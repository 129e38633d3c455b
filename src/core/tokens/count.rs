//! Counts and texts, as they stand in a response.

use super::ParseError;
use super::error::cut;
use crate::money;
use serde_json::{Map, Number, Value};

/// A single request of more tokens than this is taken for an error.
pub(super) const MAX_COUNT: i64 = crate::event::MOST_TOKENS;

/// What is at a path such as `prompt_tokens_details/cached_tokens`; nothing where it is absent or null. Of a list a step is a
/// place, or the modality (or the time to live) of an item, whose count is meant.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let (mut found, mut rest) = (value, path);
    while !rest.is_empty() {
        // Steps are short: to look at each letter takes less than a search that is made for long texts.
        let end = rest.bytes().position(|letter| letter == b'/').unwrap_or(rest.len());
        let step = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        found = match found {
            Value::Object(fields) => field(fields, step)?,
            Value::Array(items) => match step.parse::<usize>() {
                Ok(place) => items.get(place)?,
                Err(_) => of_modality(items, step)?,
            },
            _ => return None,
        };
    }
    (!found.is_null()).then_some(found)
}

/// Of few fields each is looked at: most names differ by their length, which is sooner seen than which of them comes first.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    const FEW: usize = 16;
    match fields.len() <= FEW {
        true => fields.iter().find_map(|(key, value)| (key == name).then_some(value)),
        false => fields.get(name),
    }
}

fn of_modality<'a>(items: &'a [Value], modality: &str) -> Option<&'a Value> {
    let is_of = |item: &&Value| {
        let kind = ["modality", "ttl"].iter().find_map(|name| item.get(name)?.as_str());
        kind.is_some_and(|name| name.eq_ignore_ascii_case(modality))
    };
    let item = items.iter().find(is_of)?;
    ["tokenCount", "tokens", "inputTokens"].iter().find_map(|name| item.get(name))
}

/// A text that is not empty.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// The count at a path; `None` where it is absent or null. Spans and headers write numbers as strings.
pub(super) fn count(usage: &Value, path: &str) -> Result<Option<i64>, ParseError> {
    let Some(value) = at(usage, path) else {
        return Ok(None);
    };
    let number = match value {
        Value::Number(number) => match whole(number) {
            Some(count) => Ok(count),
            None => Err(number.to_string()),
        },
        Value::String(text) => text.parse::<i64>().map_err(|_| format!("\"{text}\"")),
        Value::Array(_) => Err("an array".into()),
        other => Err(kind(other).into()),
    };
    match number {
        Ok(count) if (0..=MAX_COUNT).contains(&count) => Ok(Some(count)),
        Ok(count) => Err(bad_count(path, &count.to_string())),
        Err(shown) => Err(bad_count(path, &shown)),
    }
}

/// A whole number, also one that is written with a fraction of zero, or an exponent.
pub(super) fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| money::plain(&number.to_string())?.parse().ok())
}

/// The first of several counts that is there and not zero, or zero if one of them is.
pub(super) fn first_count(usage: &Value, paths: &[&str]) -> Result<Option<i64>, ParseError> {
    let mut first = None;
    for path in paths {
        match count(usage, path)? {
            Some(count) if count > 0 => return Ok(Some(count)),
            found => first = first.or(found),
        }
    }
    Ok(first)
}

/// Whether a count is there, good or bad.
pub(super) fn has(usage: &Value, path: &str) -> bool {
    at(usage, path).is_some()
}

pub(super) fn bad_count(path: &str, value: &str) -> ParseError {
    ParseError::BadCount { field: path.replace('/', "."), value: cut(value) }
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
            count(&json!({"a": {"b": value}}), "a/b").map_err(|error| error.message())
        };
        assert_eq!(read("null"), Ok(None));
        assert_eq!(read("0"), Ok(Some(0)));
        assert_eq!(read("3.0"), Ok(Some(3)));
        assert_eq!(read("12.00"), Ok(Some(12)));
        assert_eq!(read("1e+2"), Ok(Some(100)));
        assert_eq!(read("\"12\""), Ok(Some(12)));
        assert_eq!(read("2147483647"), Ok(Some(MAX_COUNT)));
        for bad in
            ["-1", "12.5", "1e+30", "1e-1", "2147483648", "99999999999999999999", "\"-1\"", "\"twelve\""]
        {
            let message = format!("\"a.b\" is not a token count: {bad}");
            assert_eq!(read(bad).map_err(|error| error.replace('"', "")), Err(message.replace('"', "")));
        }
        let boolean = read("true").unwrap_err();
        assert_eq!(boolean, "\"a.b\" is not a token count: a boolean");
        let long = read(&"9".repeat(500)).unwrap_err();
        assert_eq!(long.matches('9').count(), MAX_QUOTE - 1);
    }

    #[test]
    fn a_path_leads_through_objects_places_and_modalities() {
        let usage = json!({"a": {"b": [{"c": 5}]}, "details": [{"modality": "TEXT", "tokenCount": 2},
            {"modality": "audio", "tokens": 3}], "a/b": 9});
        assert_eq!(count(&usage, "a/b/0/c"), Ok(Some(5)));
        assert_eq!(count(&usage, "a/b/1/c"), Ok(None));
        assert_eq!(count(&usage, "details/text"), Ok(Some(2)));
        assert_eq!(count(&usage, "details/AUDIO"), Ok(Some(3)));
        assert_eq!(first_count(&usage, &["x", "details/AUDIO"]), Ok(Some(3)));
        assert_eq!(first_count(&json!({"a": 0, "b": 7}), &["a", "b"]), Ok(Some(7)));
        assert_eq!(first_count(&json!({"a": 0}), &["a", "b"]), Ok(Some(0)));
    }
}
