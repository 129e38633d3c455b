//! What to say of a response that cannot be read.

use super::count::MAX_COUNT;
use super::providers::{PROVIDERS, SPANS};

/// The longest piece of a caller's value that a message repeats, in characters.
pub(super) const MAX_QUOTE: usize = 100;

/// Why a response could not be read.
#[derive(Debug, Clone, PartialEq)]
pub enum ParseError {
    /// No provider goes by this name.
    UnknownProvider { provider: String },
    /// The response is neither an object nor an array that holds one.
    NotAnObject { found: &'static str },
    /// The response has no usage: what was used is unknown, not zero.
    NoUsage { provider: &'static str, looked_for: String, hint: String },
    /// A count is not a whole number from 0 to 2,147,483,647.
    BadCount { field: String, value: String },
}

impl ParseError {
    /// What is wrong, with the value that is wrong.
    pub fn message(&self) -> String {
        match self {
            Self::UnknownProvider { provider } => format!("provider \"{provider}\" is not known"),
            Self::NotAnObject { found } => format!("a response cannot be {found}"),
            Self::NoUsage { provider, .. } => format!("the {provider} response has no token usage"),
            Self::BadCount { field, value } => format!("\"{field}\" is not a token count: {value}"),
        }
    }

    /// What was looked for, or expected.
    pub fn detail(&self) -> String {
        match self {
            Self::UnknownProvider { .. } => "Names are compared without regard to case.".into(),
            Self::NotAnObject { .. } => "Usage is read from the fields of an object.".into(),
            Self::NoUsage { looked_for, .. } => format!("Looked for {looked_for}."),
            Self::BadCount { .. } => {
                format!("A token count is a whole number from 0 to {MAX_COUNT}.")
            }
        }
    }

    /// What to type instead.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownProvider { .. } => {
                let names: Vec<_> = PROVIDERS.iter().map(|p| p.names[0]).chain([SPANS[0]]).collect();
                let names = names.join(", ");
                format!(
                    "Use one of: {names}. For another that answers like one of these, name that one and give vendor; \
                     else record the counts themselves."
                )
            }
            Self::NotAnObject { .. } => "Pass the body as a JSON object, or the events of a \
                stream as a JSON array of objects; not their text as a JSON string."
                .into(),
            Self::NoUsage { hint, .. } => format!("{hint} An error response has no usage."),
            Self::BadCount { .. } => "Pass the response as the \
                provider sent it. If it did send this, record the counts themselves."
                .into(),
        }
    }
}

/// A text of any length, and with any character, as a message can hold it.
pub(super) fn cut(text: &str) -> String {
    let cut: String = match text.chars().nth(MAX_QUOTE) {
        None => text.into(),
        Some(_) => text.chars().take(MAX_QUOTE - 1).chain(['…']).collect(),
    };
    cut.replace('\0', "\u{2400}")
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use serde_json::json;

    #[test]
    fn errors_name_the_value_and_the_way_out() {
        let unknown = parse(&"é".repeat(300), &json!({})).unwrap_err();
        let cut = format!("provider \"{}…\" is not known", "é".repeat(99));
        assert_eq!(unknown.message(), cut);
        let names = "openai, azure, anthropic, gemini, vertex_ai, bedrock, mistral,";
        assert!(unknown.hint().contains(names));
        let text = parse("openai", &json!("{}")).unwrap_err();
        assert_eq!(text.message(), "a response cannot be a string");
        let list = parse("openai", &json!([[]])).unwrap_err();
        assert!(list.message().ends_with("an array without an object"));
        let nothing = parse("vertex", &json!({})).unwrap_err();
        let message = "the vertex_ai response has no token usage";
        assert_eq!(nothing.message(), message);
        let detail = nothing.detail();
        assert!(detail.contains("usageMetadata.") && detail.contains("usage.input_tokens"));
    }
}
