//! How points are packed: how many they are, and one after the other; where there are many, in stretches of [`STRETCH`], each behind
//! its sums, its bytes and how long it lasts. Numbers have 7 bits to a byte, and of each `at` there is what it is later than the one
//! before. Points ascend, so that of the same ones the bytes are the same.

use integer_encoding::VarInt;

use super::{MOST_AT, Point, Running, Sums};
use crate::Error;

/// What a loose point takes at most: three numbers of 64 bits, 7 of them to a byte.
pub const LOOSE_BYTES: usize = 30;
/// What any number takes at most.
const NUMBER_BYTES: usize = 10;
/// How many points have sums of their own: up to so many are few.
const STRETCH: usize = 32;
/// How -1 is written in two bits.
const TAKEN_BACK: u64 = 2;

impl Point {
    /// A loose point, as it stands before it is put in order and packed.
    pub fn loosely<'a>(&self, room: &'a mut [u8; LOOSE_BYTES]) -> Result<&'a [u8], Error> {
        let end = self.write(0, room)?;
        Ok(&room[..end])
    }

    /// The requests as the last two bits of what it is later, then the tokens.
    fn write(&self, before: i64, room: &mut [u8; LOOSE_BYTES]) -> Result<usize, Error> {
        let refused = |name: &str, value: i64, expected| Error::BadValue {
            name: name.into(),
            value: value.to_string(),
            expected,
        };
        if !(0..=MOST_AT).contains(&self.at) {
            return Err(refused("at", self.at, "microseconds from 0 to 2^62"));
        }
        let requests = match self.requests {
            0 => 0,
            1 => 1,
            -1 => TAKEN_BACK,
            other => return Err(refused("requests", other.into(), "a number from -1 to 1")),
        };
        let later = (self.at - before).cast_unsigned();
        let mut end = (later << 2 | requests).encode_var(room);
        end += self.input_tokens.encode_var(&mut room[end..]);
        end += self.completion_tokens.encode_var(&mut room[end..]);
        Ok(end)
    }
}

/// Points in any order, packed.
pub fn pack(mut points: Vec<Point>) -> Result<Vec<u8>, Error> {
    // Of what was packed before most is in order.
    points.sort();
    let mut packed = Vec::with_capacity(points.len() * 10);
    if points.is_empty() {
        return Ok(packed);
    }
    put(&mut packed, points.len() as u64);
    if points.len() <= STRETCH {
        put_points(&mut packed, 0, &points)?;
        return Ok(packed);
    }
    let mut before = 0;
    let mut written = Vec::new();
    for stretch in points.chunks(STRETCH) {
        written.clear();
        let last = put_points(&mut written, before, stretch)?;
        let mut running = Running::default();
        stretch.iter().for_each(|point| running.add(point));
        let sums = running.sums()?;
        put(&mut packed, (last - before).cast_unsigned());
        put(&mut packed, sums.requests);
        put(&mut packed, sums.input_tokens);
        put(&mut packed, sums.completion_tokens);
        put(&mut packed, written.len() as u64);
        packed.extend_from_slice(&written);
        before = last;
    }
    Ok(packed)
}

/// Loose points, packed.
pub fn pack_loose(loose: &[u8]) -> Result<Vec<u8>, Error> {
    let mut reader = Reader::of(loose);
    let mut points = Vec::new();
    while !reader.is_empty() {
        points.push(reader.point(&mut 0)?);
    }
    pack(points)
}

/// The points of a packing, ascending.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Point>, Error> {
    let packing = Packing::read(bytes)?;
    let mut points = Vec::with_capacity(packing.count);
    for stretch in packing.stretches() {
        let stretch = stretch?;
        let (mut reader, mut at) = (stretch.points, stretch.first_at);
        while !reader.is_empty() {
            points.push(reader.point(&mut at)?);
        }
    }
    match points.len() == packing.count {
        true => Ok(points),
        // One is missing behind the last, or there is one too many.
        false => Err(Error::BadPoints { place: bytes.len(), length: bytes.len() }),
    }
}

fn put(bytes: &mut Vec<u8>, number: impl VarInt) {
    let mut room = [0; NUMBER_BYTES];
    let length = number.encode_var(&mut room);
    bytes.extend_from_slice(&room[..length]);
}

/// Returns when the last of them is.
fn put_points(bytes: &mut Vec<u8>, mut before: i64, points: &[Point]) -> Result<i64, Error> {
    let mut room = [0; LOOSE_BYTES];
    for point in points {
        let length = point.write(before, &mut room)?;
        bytes.extend_from_slice(&room[..length]);
        before = point.at;
    }
    Ok(before)
}

/// Bytes on their way.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// Where these bytes end in all that were given, and how many those are, for the error.
    end: usize,
    length: usize,
}

impl<'a> Reader<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, end: bytes.len(), length: bytes.len() }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn refused(&self) -> Error {
        Error::BadPoints { place: self.end - self.bytes.len(), length: self.length }
    }

    #[inline]
    fn number<N: VarInt>(&mut self) -> Option<N> {
        let (number, length) = N::decode_var(self.bytes)?;
        self.bytes = self.bytes.get(length..)?;
        Some(number)
    }

    /// The next point, given when the one before was.
    #[inline]
    pub fn point(&mut self, at: &mut i64) -> Result<Point, Error> {
        let before = *self;
        self.split_point(at).ok_or_else(|| before.refused())
    }

    #[inline]
    fn split_point(&mut self, at: &mut i64) -> Option<Point> {
        let later: u64 = self.number()?;
        *at = at.checked_add((later >> 2).cast_signed())?;
        let requests = match later & 3 {
            TAKEN_BACK => -1,
            requests => i32::from(requests == 1),
        };
        let (input_tokens, completion_tokens) = (self.number()?, self.number()?);
        Some(Point { at: *at, requests, input_tokens, completion_tokens })
    }

    fn split_stretch(&mut self, first_at: i64) -> Option<Stretch<'a>> {
        let last_at = i64::try_from(self.number::<u64>()?).ok()?.checked_add(first_at)?;
        let (requests, input_tokens, completion_tokens) = (self.number()?, self.number()?, self.number()?);
        let length = usize::try_from(self.number::<u64>()?).ok()?;
        let (bytes, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        let points = Self { bytes, end: self.end - rest.len(), length: self.length };
        Some(Stretch {
            first_at,
            last_at,
            sums: Some(Sums { requests, input_tokens, completion_tokens }),
            points,
        })
    }
}

/// Points that stand together, none of them before `first_at` or after `last_at`.
pub struct Stretch<'a> {
    pub first_at: i64,
    pub last_at: i64,
    pub sums: Option<Sums>,
    pub points: Reader<'a>,
}

/// How many points stand there, and they.
pub struct Packing<'a> {
    count: usize,
    rest: Reader<'a>,
}

impl<'a> Packing<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut rest = Reader::of(bytes);
        if rest.is_empty() {
            return Ok(Self { count: 0, rest });
        }
        // A point has no less than three bytes.
        let count = rest.number::<u64>().and_then(|count| usize::try_from(count).ok());
        match count.filter(|count| (1..=bytes.len() / 3).contains(count)) {
            Some(count) => Ok(Self { count, rest }),
            None => Err(Reader::of(bytes).refused()),
        }
    }

    /// One after the other: of few all in one, without sums.
    pub fn stretches(&self) -> impl Iterator<Item = Result<Stretch<'a>, Error>> + use<'a> {
        let (is_few, mut rest) = (self.count <= STRETCH, self.rest);
        let mut first_at = 0;
        std::iter::from_fn(move || {
            let before = rest;
            if before.is_empty() {
                return None;
            }
            if is_few {
                rest.bytes = &[];
                return Some(Ok(Stretch { first_at: 0, last_at: MOST_AT, sums: None, points: before }));
            }
            let stretch = rest.split_stretch(first_at);
            match &stretch {
                Some(stretch) => first_at = stretch.last_at,
                None => rest.bytes = &[],
            }
            Some(stretch.ok_or_else(|| before.refused()))
        })
    }
}
