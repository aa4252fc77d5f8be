//! How one input becomes another: bytes, words, pieces of others, from one seed.

use serde_json::Value as Json;

/// A small source of chance (SplitMix64).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 0x9E37_79B9_7F4A_7C15)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Longest input.
const LONGEST: usize = 40_000;

/// One of the inputs, changed a few times.
pub(crate) fn mutated(inputs: &[Vec<u8>], words: &[&str], rng: &mut Rng) -> Vec<u8> {
    let mut input = inputs[rng.below(inputs.len())].clone();
    // Half of the JSON stays JSON, so that more than the reader of JSON is tried.
    if rng.below(2) == 0
        && let Some(tree) = tree_mutated(&input, inputs, words, rng)
    {
        return tree;
    }
    for _ in 0..=rng.below(6) {
        change(&mut input, inputs, words, rng);
    }
    input.truncate(LONGEST);
    input
}

/// JSON with a few of its parts exchanged for parts of other inputs, or for odd values.
fn tree_mutated(input: &[u8], inputs: &[Vec<u8>], words: &[&str], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut tree: Json = serde_json::from_slice(input).ok()?;
    for _ in 0..=rng.below(4) {
        let put = match rng.below(3) {
            0 => serde_json::from_str(words[rng.below(words.len())]).unwrap_or(Json::Null),
            1 => {
                let other = serde_json::from_slice(&inputs[rng.below(inputs.len())]).unwrap_or(Json::Null);
                let at = rng.below(nodes(&other).max(1));
                let mut at = at;
                part(&other, &mut at).cloned().unwrap_or(Json::Null)
            }
            _ => {
                let mut at = rng.below(nodes(&tree));
                part(&tree, &mut at).cloned().unwrap_or(Json::Null)
            }
        };
        let mut at = rng.below(nodes(&tree));
        let drops = rng.below(4) == 0;
        exchange(&mut tree, &mut at, &put, drops);
    }
    serde_json::to_vec(&tree).ok()
}

fn nodes(tree: &Json) -> usize {
    1 + match tree {
        Json::Array(items) => items.iter().map(nodes).sum(),
        Json::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}

fn part<'t>(tree: &'t Json, at: &mut usize) -> Option<&'t Json> {
    if *at == 0 {
        return Some(tree);
    }
    *at -= 1;
    match tree {
        Json::Array(items) => items.iter().find_map(|item| part(item, at)),
        Json::Object(members) => members.values().find_map(|item| part(item, at)),
        _ => None,
    }
}

/// Puts a value in the place of the part with this number; or leaves out what that part holds.
fn exchange(tree: &mut Json, at: &mut usize, put: &Json, drops: bool) -> bool {
    if *at == 0 {
        match tree {
            Json::Object(members) if drops && !members.is_empty() => {
                let key = members.keys().next().cloned().unwrap_or_default();
                members.remove(&key);
            }
            Json::Array(items) if drops => items.extend(items.clone()),
            tree => *tree = put.clone(),
        }
        return true;
    }
    *at -= 1;
    match tree {
        Json::Array(items) => items.iter_mut().any(|item| exchange(item, at, put, drops)),
        Json::Object(members) => members.values_mut().any(|item| exchange(item, at, put, drops)),
        _ => false,
    }
}

fn change(input: &mut Vec<u8>, inputs: &[Vec<u8>], words: &[&str], rng: &mut Rng) {
    let at = rng.below(input.len() + 1);
    match rng.below(9) {
        // Bytes.
        0 if !input.is_empty() => {
            let at = rng.below(input.len());
            input[at] ^= 1 << rng.below(8);
        }
        1 if !input.is_empty() => {
            let at = rng.below(input.len());
            input[at] = rng.below(256) as u8;
        }
        2 => input.insert(at, rng.below(256) as u8),
        // A piece is left out, or said again.
        3 => {
            let end = at + rng.below((input.len() - at).min(40) + 1);
            input.drain(at..end);
        }
        4 => {
            let end = at + rng.below((input.len() - at).min(200) + 1);
            let piece = input[at..end].to_vec();
            let times = 1 + rng.below(8);
            let copies: Vec<u8> = piece.iter().copied().cycle().take(piece.len() * times).collect();
            input.splice(at..at, copies);
        }
        // A word where words stand, or anywhere.
        5 | 6 => {
            let word = words[rng.below(words.len())].as_bytes();
            let end = if rng.below(2) == 0 { at } else { word_end(input, at) };
            input.splice(at..end, word.iter().copied());
        }
        // A piece of another input.
        7 => {
            let other = &inputs[rng.below(inputs.len())];
            let from = rng.below(other.len() + 1);
            let until = from + rng.below(other.len() - from + 1).min(400);
            input.splice(at..at, other[from..until].iter().copied());
        }
        _ => input.truncate(at),
    }
}

/// Where the JSON value or word ends that begins around here.
fn word_end(input: &[u8], at: usize) -> usize {
    let rest = &input[at..];
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'\n' | b'&' | b' ');
    at + rest.iter().position(ends).unwrap_or(rest.len())
}
