//! What events name again and again, once, in places: to look one up allocates nothing.

use foldhash::HashMap;

use super::Line;

/// Texts, and the places they were given.
#[derive(Debug, Default)]
pub struct Texts {
    texts: Vec<Box<str>>,
    places: HashMap<Box<str>, usize>,
}

impl Texts {
    pub fn place(&mut self, text: &str) -> usize {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.texts.len();
        self.texts.push(text.into());
        self.places.insert(text.into(), place);
        place
    }

    pub fn text(&self, place: usize) -> &str {
        &self.texts[place]
    }
}

/// The lines of a batch, and the places they were given.
#[derive(Debug, Default)]
pub struct Lines {
    lines: Vec<OwnedLine>,
    currency_of: Vec<usize>,
    currencies: Texts,
    /// By a text that no other line has.
    places: HashMap<Box<[u8]>, usize>,
    text: Vec<u8>,
}

impl Lines {
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Line<'_>> {
        self.lines.iter().map(OwnedLine::borrowed)
    }

    pub fn line(&self, place: usize) -> Line<'_> {
        self.lines[place].borrowed()
    }

    /// The place of the line's currency.
    pub fn currency_of(&self, place: usize) -> usize {
        self.currency_of[place]
    }

    pub fn currency(&self, place: usize) -> &str {
        self.currencies.text(place)
    }

    pub fn place(&mut self, line: &Line) -> usize {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        line.write_to(&mut text);
        let place = match self.places.get(&*text) {
            Some(place) => *place,
            None => self.add(line, &text),
        };
        self.text = text;
        place
    }

    fn add(&mut self, line: &Line, text: &[u8]) -> usize {
        let place = self.lines.len();
        let currency = self.currencies.place(line.currency);
        self.lines.push(line.owned());
        self.currency_of.push(currency);
        self.places.insert(text.into(), place);
        place
    }
}

#[derive(Debug)]
struct OwnedLine {
    llm_id: i64,
    model: Box<str>,
    vendor: Option<Box<str>>,
    currency: Box<str>,
}

impl OwnedLine {
    fn borrowed(&self) -> Line<'_> {
        Line {
            llm_id: self.llm_id,
            model: &self.model,
            vendor: self.vendor.as_deref(),
            currency: &self.currency,
        }
    }
}

impl Line<'_> {
    fn owned(&self) -> OwnedLine {
        OwnedLine {
            llm_id: self.llm_id,
            model: self.model.into(),
            vendor: self.vendor.map(Into::into),
            currency: self.currency.into(),
        }
    }

    /// Texts of a database have no byte 0.
    fn write_to(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(&self.llm_id.to_ne_bytes());
        text.extend_from_slice(self.model.as_bytes());
        text.push(0);
        text.extend_from_slice(self.currency.as_bytes());
        text.push(0);
        text.extend_from_slice(self.vendor.map_or(&[0], str::as_bytes));
    }
}
