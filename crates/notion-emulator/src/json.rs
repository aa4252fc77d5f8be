//! How answers are written: straight into text, in Notion's key order, without a tree in between.

use uuid::Uuid;

/// Appends a JSON string with its quotes.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut clean = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[clean..index]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        clean = index + 1;
    }
    out.push_str(&text[clean..]);
    out.push('"');
}

/// Appends a string or `null`.
pub(crate) fn optional(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.push_str("null"),
    }
}

/// Appends a quoted id.
pub(crate) fn id(out: &mut String, id: Uuid) {
    let mut buffer = Uuid::encode_buffer();
    out.push('"');
    out.push_str(id.hyphenated().encode_lower(&mut buffer));
    out.push('"');
}

/// Appends a number as JavaScript writes it: whole numbers without a fraction.
pub(crate) fn number(out: &mut String, number: f64) {
    use std::fmt::Write;
    let written = if !number.is_finite() {
        out.write_str("null")
    } else if number == 0.0 {
        out.write_str("0")
    } else if number.abs() >= 1e21 || number.abs() < 1e-6 {
        write!(out, "{number:e}")
    } else {
        write!(out, "{number}")
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

/// Appends a boolean.
pub(crate) fn boolean(out: &mut String, value: bool) {
    out.push_str(if value { "true" } else { "false" });
}

/// Appends any tree.
pub(crate) fn tree(out: &mut String, value: &serde_json::Value) {
    use std::fmt::Write;
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_survive_a_parser() {
        for text in ["", "plain", "q\"b\\n\n\t\r", "\u{1}\u{1f}é😀", "a\nb"] {
            let mut out = String::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn numbers_look_as_in_javascript() {
        for (value, text) in
            [(3.0, "3"), (3.5, "3.5"), (0.125, "0.125"), (-0.0, "0"), (1e21, "1e21"), (1e-7, "1e-7")]
        {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn numbers_read_back_equal() {
        for value in [9_007_199_254_740_993.0, 0.1 + 0.2, f64::MAX, f64::MIN_POSITIVE, -1.5e-9] {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out.parse::<f64>().unwrap(), value, "{out}");
        }
    }
}
