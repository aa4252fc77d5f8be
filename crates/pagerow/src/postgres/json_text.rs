//! JSON in canonical text without touching its numbers: keys sorted, no white space, digits as written.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The canonical text; `None` for what JSON readers do not understand (half a surrogate, extreme depth).
///
/// Numbers keep every digit, since they are never read as floats. Of a key that comes twice the last counts, as
/// everywhere in JSON.
pub(super) fn canonical(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    write(text.trim(), &mut out, 0)?;
    Some(out)
}

/// The texts of an array's elements; `None` when it is none.
pub(super) fn elements(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// The string that a JSON text is; `None` when it is none.
pub(super) fn string(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

/// Deeper than this nobody reads, and each level is one more look at all that lies within.
const DEPTH: usize = 100;

fn write(text: &str, out: &mut String, depth: usize) -> Option<()> {
    if depth > DEPTH {
        return None;
    }
    match text.as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            out.push('{');
            for (i, (key, value)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(key).ok()?);
                out.push(':');
                write(value.get(), out, depth + 1)?;
            }
            out.push('}');
        }
        b'[' => {
            out.push('[');
            for (i, item) in elements(text)?.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item.get(), out, depth + 1)?;
            }
            out.push(']');
        }
        b'"' => out.push_str(&serde_json::to_string(&string(text)?).ok()?),
        _ => {
            let scalar: &RawValue = serde_json::from_str(text).ok()?;
            out.push_str(scalar.get());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pagerow_core::value::canonical_json;

    #[test]
    fn it_is_the_form_of_the_core() {
        for text in [
            r#"{"b": 1, "a": [true, null, "x\u00e9\n\u0001\/"], "": {}}"#,
            "[]",
            r#" "plain" "#,
            "-1.5",
            r#"{"z": {"y": [1, {"x": 2}]}}"#,
        ] {
            let json: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(canonical(text).unwrap(), canonical_json(&json), "{text}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"n": [12345678901234567890.1234567890, 1.50, 1e400]}"#;
        assert_eq!(canonical(text).unwrap(), r#"{"n":[12345678901234567890.1234567890,1.50,1e400]}"#);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "nul", r#""\ud800""#, "[1,]"] {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert_eq!(canonical(&"[".repeat(5000)), None);
    }
}
