//! The text format of COPY.

use std::fmt::{Display, Write};

/// Lines for `COPY … FROM STDIN`, built field by field.
#[derive(Default)]
pub struct CopyText {
    text: String,
    in_line: bool,
}

impl CopyText {
    /// Appends a field; `None` is NULL.
    pub fn field(&mut self, value: Option<impl Display>) -> &mut Self {
        if self.in_line {
            self.text.push('\t');
        }
        self.in_line = true;
        let Some(value) = value else {
            self.text.push_str("\\N");
            return self;
        };
        for letter in value.to_string().chars() {
            match letter {
                '\\' => self.text.push_str("\\\\"),
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                other => self.text.push(other),
            }
        }
        self
    }

    /// Ends the line.
    pub fn end(&mut self) {
        self.text.push('\n');
        self.in_line = false;
    }

    /// The lines as they go to the server.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// An instant as every DateStyle reads it.
pub fn instant(at: chrono::DateTime<chrono::Utc>) -> String {
    let mut text = String::new();
    write!(text, "{}", at.format("%Y-%m-%d %H:%M:%S%.6f+00")).expect("a String takes all");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_escaped_and_null_is_not_a_text() {
        let mut copy = CopyText::default();
        copy.field(Some("a\tb\\N\n")).field(None::<&str>).field(Some(5)).end();
        copy.field(Some("")).end();
        assert_eq!(copy.as_bytes(), b"a\\tb\\\\N\\n\t\\N\t5\n\n");
    }

    #[test]
    fn an_instant_keeps_its_microseconds() {
        let at = chrono::DateTime::from_timestamp_micros(-1).expect("an instant");
        assert_eq!(instant(at), "1969-12-31 23:59:59.999999+00");
    }
}
