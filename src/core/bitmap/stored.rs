//! The stored form, read where it lies.
//!
//! Numbers that share their upper 32 bits are a group, those that share 48 bits a page. A group is the number of its pages,
//! then key and count of each, where each begins, and the pages themselves: lower halves in ascending order while they are
//! few, otherwise one bit for each possible one. All numbers are little-endian.

use crate::Error;

/// Numbers of a page up to which they are stored one by one.
const MOST_SINGLE: usize = 4096;
/// Bytes of a page with a bit for each number.
const BITS_BYTES: usize = 8192;
/// What a group without run containers begins with.
const COOKIE: u32 = 12346;

/// The error of bytes that are cut off.
pub const END: Error = Error::BadBitmap { problem: "The bytes end too early" };

/// The numbers that share their upper 48 bits.
pub struct Page<'a> {
    pub key: u64,
    pub count: usize,
    pub numbers: Numbers<'a>,
}

/// The lower 16 bits of a page's numbers.
pub enum Numbers<'a> {
    Single(&'a [[u8; 2]]),
    Bits(&'a [[u8; 8]]),
}

/// Shows each page, in ascending order, as far as the bytes are a stored set.
pub fn read<'a>(mut bytes: &'a [u8], mut show: impl FnMut(Page<'a>)) -> Result<(), Error> {
    let groups = u64::from_le_bytes(*chunk(&mut bytes)?);
    let mut last = None;
    for _ in 0..groups {
        let key = u32::from_le_bytes(*chunk(&mut bytes)?);
        accept(last.replace(key) < Some(key), "Its groups are not in ascending order")?;
        read_group(key, &mut bytes, &mut show)?;
    }
    accept(bytes.is_empty(), "There are bytes after its end")
}

fn read_group<'a>(group: u32, bytes: &mut &'a [u8], show: &mut impl FnMut(Page<'a>)) -> Result<(), Error> {
    accept(u32::from_le_bytes(*chunk(bytes)?) == COOKIE, "A group does not begin like one")?;
    let pages = u32::from_le_bytes(*chunk(bytes)?) as usize;
    accept((1..=1 << 16).contains(&pages), "A group has no pages or too many")?;
    let heads = slice(bytes, 4 * pages)?.as_chunks::<4>().0;
    let places = slice(bytes, 4 * pages)?.as_chunks::<4>().0;
    let mut place = 8 + 8 * pages;
    let mut last = None;
    for ([key_low, key_high, count_low, count_high], claimed) in heads.iter().zip(places) {
        let key = u16::from_le_bytes([*key_low, *key_high]);
        accept(last.replace(key) < Some(key), "The pages of a group are not in ascending order")?;
        accept(u32::from_le_bytes(*claimed) as usize == place, "A page is not where it should be")?;
        let count = usize::from(u16::from_le_bytes([*count_low, *count_high])) + 1;
        let body = slice(bytes, if count <= MOST_SINGLE { 2 * count } else { BITS_BYTES })?;
        place += body.len();
        show(Page { key: u64::from(group) << 16 | u64::from(key), count, numbers: numbers(body, count)? });
    }
    Ok(())
}

fn numbers(body: &[u8], count: usize) -> Result<Numbers<'_>, Error> {
    if count <= MOST_SINGLE {
        let singles = body.as_chunks::<2>().0;
        let pairs = singles.iter().zip(&singles[1..]);
        // Without an early end, many pairs are compared at a time.
        let ascend = pairs.fold(true, |so_far, (one, next)| {
            so_far & (u16::from_le_bytes(*one) < u16::from_le_bytes(*next))
        });
        accept(ascend, "The numbers of a page are not in ascending order")?;
        return Ok(Numbers::Single(singles));
    }
    let words = body.as_chunks::<8>().0;
    let ones: u32 = words.iter().map(|word| u64::from_le_bytes(*word).count_ones()).sum();
    accept(ones as usize == count, "A page has not as many numbers as it says")?;
    Ok(Numbers::Bits(words))
}

fn chunk<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], Error> {
    let (chunk, rest) = bytes.split_first_chunk().ok_or(END)?;
    *bytes = rest;
    Ok(chunk)
}

fn slice<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], Error> {
    bytes.split_off(..len).ok_or(END)
}

fn accept(right: bool, problem: &'static str) -> Result<(), Error> {
    if right { Ok(()) } else { Err(Error::BadBitmap { problem }) }
}
