//! Mutates seeds at random: bits, slices, and values that parsers often mishandle.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Replacements for values and pieces of text.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"-0",
    b"-0.0",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"1e308",
    b"NaN",
    b"Infinity",
    b"0x10",
    b"01",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"9007199254740993",
    b"99999999999999999999999999999999",
    b"\"\"",
    b"\"NaN\"",
    b"\" 7 \"",
    b"\"1e309\"",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"\"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[]",
    b"{}",
    b",",
    b":",
    b"\"data\":[",
    b"{\"data\":",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"\"9999-12-31T23:59:59Z\"",
    b"\"9999-12-30T24:00:00-23:59\"",
    b"\"0001-01-01T00:00:00+23:59\"",
    b"\"-009999-01-01T00:00:00Z\"",
    b"\"+009999-12-31T00:00:00Z\"",
    b"\"2016-12-31T23:59:60Z\"",
    b"\"2026-11-21T24:00:00Z\"",
    b"\"2026-02-29T00:00:00Z\"",
    b"\"2026-03-29T02:30:00\"",
    b"\"2026-11-21\"",
    b"\"+23:59\"",
    b"\"-00:00\"",
    b"\"+24:00\"",
    b"\"-1\"",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f",
    b"\x1f\x8b\x08\x00",
    b"\xef\xbb\xbf",
];
/// Maximum number of changes per input.
const CHANGES: u64 = 6;

pub struct Mutator {
    state: u64,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    pub fn new(seed: u64, seeds: Vec<Vec<u8>>) -> Self {
        Self { state: seed, seeds }
    }

    /// Returns the next input of at most `longest` bytes; sometimes compressed, if permitted.
    pub fn next(&mut self, longest: usize, may_be_packed: bool) -> Vec<u8> {
        let mut input = self.seed();
        for _ in 0..=self.roll(CHANGES) {
            self.change(&mut input);
        }
        input.truncate(longest);
        if may_be_packed && self.roll(4) == 0 {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(&input).unwrap();
            input = packed.finish().unwrap();
            if self.roll(3) == 0 {
                self.change(&mut input);
            }
        }
        input
    }

    /// Returns a number below `sides` (splitmix).
    fn roll(&mut self, sides: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.roll(length as u64 + 1)).unwrap()
    }

    fn seed(&mut self) -> Vec<u8> {
        let place = self.place(self.seeds.len() - 1);
        self.seeds[place].clone()
    }

    fn word(&mut self) -> &'static [u8] {
        WORDS[self.place(WORDS.len() - 1)]
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.place(input.len());
        let until = at + self.place((input.len() - at).min(64));
        match self.roll(9) {
            0 if at < input.len() => input[at] ^= 1 << self.roll(8),
            1 if at < input.len() => input[at] = u8::try_from(self.roll(256)).unwrap(),
            2 => input.truncate(at),
            3 => drop(input.drain(at..until)),
            4 => {
                let piece = input[at..until].repeat(1 + self.place(8));
                input.splice(at..at, piece);
            }
            5 => {
                let (other, from) = (self.seed(), self.place(64));
                let piece = other.get(from..).unwrap_or_default().to_vec();
                input.splice(at..until, piece);
            }
            6 => {
                let word = self.word();
                input.splice(at..at, word.iter().copied());
            }
            // Replaces one value and leaves the rest intact.
            _ => {
                let Some(colon) = input[at..].iter().position(|byte| matches!(byte, b':' | b'[' | b'='))
                else {
                    return;
                };
                let begin = at + colon + 1;
                let length =
                    input[begin..].iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b'\n'));
                let word = self.word();
                input.splice(begin..begin + length.unwrap_or(0), word.iter().copied());
            }
        }
    }
}
