//! The arguments of one call.

use percent_encoding::percent_decode_str;

use crate::calendar;

/// Stands for bytes that are no text.
const REPLACEMENT: &str = "\u{FFFD}";

/// Arguments by name, in the order in which they came. An empty one is none, as for the vendors' own servers.
#[derive(Debug, Default)]
pub struct Arguments(Vec<(String, String)>);

impl Arguments {
    /// Those of a URI's path, at `{name}` of the template, and of its query, which has no say in what the path names. A URI of
    /// another path gives those of its query.
    pub fn of_uri(uri: &str, template: &str) -> Self {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = path_argument(path, template).map(|(name, value)| {
            (name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned())
        });
        let named = path.as_ref().map(|(name, _)| name.clone());
        let query = form_urlencoded::parse(query.as_bytes()).into_owned();
        let query = query.filter(|(name, _)| Some(name) != named.as_ref());
        // PostgreSQL has no NUL in a text, nor in a JSON document that it looks into.
        let replaced = |(name, value): (String, String)| (name, value.replace('\0', REPLACEMENT));
        Self(path.into_iter().chain(query).map(replaced).collect())
    }

    /// Adds what was given by name, which wins over what is in the URI.
    pub fn give(&mut self, name: &str, values: Vec<String>) {
        if !values.is_empty() {
            self.0.retain(|(given, _)| given != name);
            self.0.extend(values.into_iter().map(|value| (name.to_owned(), value)));
        }
    }

    /// The last value of an argument.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.values(name).last().filter(|value| !value.is_empty())
    }

    /// Every value of an argument that may be repeated.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.values(name).filter(|value| !value.is_empty()).collect()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// Whether a value came as text: what is none is replaced while a URI is decoded.
pub fn is_text(value: &str) -> bool {
    !value.contains(REPLACEMENT)
}

fn path_argument<'a>(path: &'a str, template: &'a str) -> Option<(&'a str, &'a str)> {
    let (before, rest) = template.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    let value = path.strip_prefix(before)?.strip_suffix(after)?;
    (!value.is_empty()).then_some((name, value))
}

/// An ISO 8601 instant. A `+` that was not encoded has become a blank.
pub fn parse_instant(text: &str) -> Option<i64> {
    let lost_sign = text.rfind(' ').filter(|at| *at > "2025-06-01T".len());
    match lost_sign {
        Some(at) => calendar::parse_instant(&format!("{}+{}", &text[..at], &text[at + 1..])),
        None => calendar::parse_instant(text),
    }
}

/// The same instant as the documented answers write it.
pub fn canonical(text: &str) -> Option<String> {
    parse_instant(text).and_then(calendar::format_instant)
}

/// A number in digits alone.
pub fn parse_id(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
