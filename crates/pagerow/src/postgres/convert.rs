//! How one column travels: which SQL reads it, what its bytes mean, and which text writes it.
//!
//! Everything here is independent of the session's `TimeZone` and `DateStyle`: times travel in binary or in ISO form.

use jiff::{Timestamp, civil, tz::TimeZone};
use pagerow_core::{
    fidelity::Reason,
    mapping::ColumnKind,
    number::Number,
    value::{Moment, Range, Ref, Value},
};
use tokio_postgres::types::{FromSql, Type};

use super::{json_text, moment};

/// How a column is read and written.
#[derive(Clone, Debug)]
pub(super) struct Column {
    form: Form,
    /// The type's name, for values that only Postgres understands.
    type_name: String,
    /// Type to which written text is cast, without a length, so that too long text is refused instead of cut.
    cast: String,
}

/// The form in which a column's content arrives.
#[derive(Clone, Debug, PartialEq)]
enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Number,
    Text,
    Bytes,
    Key,
    Day,
    Instant,
    /// `timestamp`: the reading of a clock in the mapping's zone.
    Local,
    Range(Bound),
    Json,
    List(ColumnKind),
}

/// What a range runs over.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Day,
    Instant,
    Local,
}

/// One cell as it came over the wire.
pub(super) type Cell<'a> = Option<&'a [u8]>;

impl Column {
    /// A table's column. `base` is the base type's name, `declared` the type as `format_type` prints it.
    pub(super) fn of(base: &str, declared: &str, holds: &ColumnKind) -> Self {
        let plain = without_length(base);
        let form = match (holds, canonical_name(&plain)) {
            (ColumnKind::Reference { .. }, _) => Form::Key,
            (_, "boolean") => Form::Bool,
            (_, "smallint") => Form::Int2,
            (_, "integer") => Form::Int4,
            (_, "bigint") => Form::Int8,
            (_, "real") => Form::Float4,
            (_, "double precision") => Form::Float8,
            (_, "numeric") => Form::Number,
            (_, "date") => Form::Day,
            (_, "timestamptz") => Form::Instant,
            (_, "timestamp") => Form::Local,
            (_, "daterange") => Form::Range(Bound::Day),
            (_, "tstzrange") => Form::Range(Bound::Instant),
            (_, "tsrange") => Form::Range(Bound::Local),
            (_, "json" | "jsonb") => Form::Json,
            (_, "bytea") => Form::Bytes,
            (ColumnKind::List(inner), _) => Form::List((**inner).clone()),
            // Numbers of less common types, such as `oid`.
            (
                ColumnKind::Integer { .. }
                | ColumnKind::Numeric { .. }
                | ColumnKind::Real
                | ColumnKind::Double,
                _,
            ) => Form::Number,
            _ => Form::Text,
        };
        // A domain's own length would be applied by cutting; its base type's is applied by refusing.
        let cast = if is_builtin(&plain) { castable(&plain) } else { castable(&without_length(declared)) };
        Self { form, type_name: canonical_name(&plain).to_owned(), cast }
    }

    /// The expressions that read it, all of built-in types. `operand` is the column, quoted.
    pub(super) fn expressions(&self, operand: &str) -> Vec<String> {
        match &self.form {
            Form::Bool => vec![format!("{operand}::boolean")],
            Form::Int2 => vec![format!("{operand}::smallint")],
            Form::Int4 => vec![format!("{operand}::integer")],
            Form::Int8 => vec![format!("{operand}::bigint")],
            Form::Float4 => vec![format!("{operand}::real")],
            Form::Float8 => vec![format!("{operand}::double precision")],
            Form::Day => vec![format!("{operand}::date")],
            Form::Instant => vec![format!("{operand}::timestamptz")],
            Form::Local => vec![format!("{operand}::timestamp")],
            Form::Number | Form::Text | Form::Json => vec![format!("{operand}::text")],
            Form::Bytes | Form::Key => vec![key_expression(operand, &self.type_name)],
            Form::List(_) => vec![format!("to_jsonb({operand})::text")],
            Form::Range(bound) => {
                let bound = match bound {
                    Bound::Day => "date",
                    Bound::Instant => "timestamptz",
                    Bound::Local => "timestamp",
                };
                vec![
                    format!("lower({operand})::{bound}"),
                    format!("upper({operand})::{bound}"),
                    format!(
                        "CASE WHEN isempty({operand}) THEN 'empty' WHEN NOT isempty({operand}) THEN \
                         (CASE WHEN lower_inc({operand}) THEN '[' ELSE '(' END) || \
                         (CASE WHEN upper_inc({operand}) THEN ']' ELSE ')' END) END"
                    ),
                ]
            }
        }
    }

    /// What the cells of [`Column::expressions`] mean.
    ///
    /// # Errors
    /// A sentence that holds no content, when the bytes are not what the type promises.
    pub(super) fn decode(&self, cells: &[Cell<'_>], zone: &TimeZone) -> Result<Value, String> {
        let unexpected = || format!("a value of type {} could not be read", self.type_name);
        if let Form::Range(bound) = self.form {
            return self.range(bound, cells, zone).ok_or_else(unexpected);
        }
        let Some(Some(bytes)) = cells.first().copied() else { return Ok(Value::Null) };
        self.scalar(bytes, zone).ok_or_else(unexpected)
    }

    fn scalar(&self, bytes: &[u8], zone: &TimeZone) -> Option<Value> {
        let text = || std::str::from_utf8(bytes).ok();
        Some(match &self.form {
            Form::Bool => Value::Bool(*bytes.first()? != 0),
            Form::Int2 => Value::Number(i64::from(i16::from_be_bytes(bytes.try_into().ok()?)).into()),
            Form::Int4 => Value::Number(i64::from(i32::from_be_bytes(bytes.try_into().ok()?)).into()),
            Form::Int8 => Value::Number(i64::from_be_bytes(bytes.try_into().ok()?).into()),
            Form::Float4 => {
                let single = f32::from_be_bytes(bytes.try_into().ok()?);
                self.float(Number::from_f32(single), f64::from(single))
            }
            Form::Float8 => {
                let double = f64::from_be_bytes(bytes.try_into().ok()?);
                self.float(Number::from_f64(double), double)
            }
            Form::Number => match Number::parse(text()?) {
                Ok(number) => Value::Number(number),
                Err(_) => Value::opaque(&self.type_name, text()?),
            },
            Form::Text | Form::Bytes => Value::Text(text()?.to_owned()),
            Form::Key => Value::Ref(Ref::Row(text()?.into())),
            Form::Day => moment::day(i32::from_be_bytes(bytes.try_into().ok()?)),
            Form::Instant => moment::instant(i64::from_be_bytes(bytes.try_into().ok()?)),
            Form::Local => moment::local_instant(i64::from_be_bytes(bytes.try_into().ok()?), zone),
            Form::Json => match json_text::canonical(text()?) {
                Some(canonical) => Value::Json(canonical),
                None => Value::opaque(&self.type_name, text()?),
            },
            Form::List(inner) => list(text()?, inner, zone)?,
            Form::Range(_) => return None,
        })
    }

    fn float(&self, number: Option<Number>, double: f64) -> Value {
        let word = match double {
            double if double.is_nan() => "NaN",
            double if double > 0.0 => "Infinity",
            _ => "-Infinity",
        };
        number.map_or_else(|| Value::opaque(&self.type_name, word), Value::Number)
    }

    /// A range in the usual form, `[)` for times and days (which Postgres makes of every range of days), or of one
    /// moment. Any other is kept as Postgres's text, because its ends would change when it is written back.
    fn range(&self, bound: Bound, cells: &[Cell<'_>], zone: &TimeZone) -> Option<Value> {
        let [lower, upper, flags] = cells else { return None };
        let Some(flags) = flags else { return Some(Value::Null) };
        let flags = std::str::from_utf8(flags).ok()?;
        if flags == "empty" {
            return Some(Value::opaque(&self.type_name, "empty"));
        }
        let end = |cell: &Cell<'_>| -> Option<Option<Value>> {
            let Some(bytes) = cell else { return Some(None) };
            Some(Some(match bound {
                Bound::Day => moment::day(i32::from_be_bytes((*bytes).try_into().ok()?)),
                Bound::Instant => moment::instant(i64::from_be_bytes((*bytes).try_into().ok()?)),
                Bound::Local => moment::local_instant(i64::from_be_bytes((*bytes).try_into().ok()?), zone),
            }))
        };
        let (lower, upper) = (end(lower)?, end(upper)?);
        let known = |end: &Option<Value>| match end {
            None => Some(None),
            Some(Value::Day(day)) => Some(Some(Moment::Day(*day))),
            Some(Value::Instant(at)) => Some(Some(Moment::Instant(*at))),
            Some(_) => None,
        };
        let usual = match (&lower, &upper) {
            (Some(start), Some(end)) if start == end => flags == "[]",
            _ => {
                let opens = flags.starts_with('[') || lower.is_none();
                opens && (flags.ends_with(')') || upper.is_none())
            }
        };
        if let (true, Some(start), Some(end)) = (usual, known(&lower), known(&upper)) {
            // The last day is the one before the excluded one.
            let end = match end {
                Some(Moment::Day(day)) => Some(Moment::Day(day.yesterday().ok()?)),
                other => other,
            };
            return Some(Value::Range(Box::new(Range { start, end })));
        }
        let shown = |end: &Option<Value>| match end {
            None => String::new(),
            Some(Value::Opaque(opaque)) => opaque.text.clone(),
            Some(Value::Day(day)) => day.to_string(),
            Some(Value::Instant(at)) if bound == Bound::Local => {
                moment::local_text(*at, zone).unwrap_or_default()
            }
            Some(Value::Instant(at)) => moment::instant_text(*at).unwrap_or_default(),
            Some(_) => String::new(),
        };
        let quoted = |text: String| if text.is_empty() { text } else { format!("\"{text}\"") };
        let (open, close) = flags.split_at_checked(1)?;
        let text = format!("{open}{},{}{close}", quoted(shown(&lower)), quoted(shown(&upper)));
        Some(Value::opaque(&self.type_name, text))
    }

    /// The type to which [`Column::text`] is cast.
    pub(super) fn cast(&self) -> &str {
        &self.cast
    }

    /// The text that writes a value, and `None` for `NULL`. References to pages have to be resolved before.
    ///
    /// # Errors
    /// [`Reason`] when the column has no form for the value.
    pub(super) fn text(&self, value: &Value, zone: &TimeZone) -> Result<Option<String>, Reason> {
        if value.is_null() {
            return Ok(None);
        }
        let text = self.some_text(value, zone)?;
        if text.contains('\0') {
            return Err(Reason::new("nul", "Postgres text cannot hold the character NUL"));
        }
        Ok(Some(text))
    }

    fn some_text(&self, value: &Value, zone: &TimeZone) -> Result<String, Reason> {
        let mismatch = || {
            Reason::new(
                "kind",
                format!("{} cannot be written to a column of type {}", value.kind(), self.type_name),
            )
        };
        let far = || Reason::new("date_range", "the date lies before the year 1");
        let at_text = |at: Timestamp, local: bool| {
            if local { moment::local_text(at, zone) } else { moment::instant_text(at) }.ok_or_else(far)
        };
        let local = matches!(self.form, Form::Local | Form::Range(Bound::Local))
            || matches!(self.cast.as_str(), "timestamp[]" | "timestamp without time zone[]");
        Ok(match value {
            Value::Text(text) | Value::Markdown(text) | Value::Json(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(bool) => bool.to_string(),
            Value::Day(day) => moment::day_text(*day).ok_or_else(far)?,
            Value::Instant(at) => at_text(*at, local)?,
            Value::Range(range) => {
                let end = |end: &Option<Moment>| match end {
                    None => Ok(String::new()),
                    Some(Moment::Day(day)) => moment::day_text(*day).ok_or_else(far),
                    Some(Moment::Instant(at)) => at_text(*at, local).map(|text| format!("\"{text}\"")),
                };
                let days = matches!(self.form, Form::Range(Bound::Day));
                let close = if days || range.start == range.end { ']' } else { ')' };
                let close = if range.end.is_none() { ')' } else { close };
                let open = if range.start.is_none() { '(' } else { '[' };
                format!("{open}{},{}{close}", end(&range.start)?, end(&range.end)?)
            }
            Value::List(items) => self.array(items.iter(), zone)?,
            Value::Set(items) => self.array(items.iter(), zone)?,
            Value::Ref(Ref::Row(key)) => key.as_str().to_owned(),
            Value::File(file) => file.url.clone(),
            Value::Person(person) => {
                person.email.clone().or_else(|| person.id.clone()).ok_or_else(mismatch)?
            }
            Value::Opaque(opaque) if opaque.kind == self.type_name || matches!(self.form, Form::List(_)) => {
                opaque.text.clone()
            }
            Value::Null | Value::Ref(Ref::Page(_)) | Value::Opaque(_) => return Err(mismatch()),
        })
    }

    /// An array in Postgres's text form.
    fn array<'a>(&self, items: impl Iterator<Item = &'a Value>, zone: &TimeZone) -> Result<String, Reason> {
        if !matches!(self.form, Form::List(_)) {
            return Err(Reason::new(
                "kind",
                format!("a list cannot be written to a column of type {}", self.type_name),
            ));
        }
        let mut out = String::from("{");
        for (i, item) in items.enumerate() {
            if i > 0 {
                out.push(',');
            }
            match item {
                Value::Null => out.push_str("NULL"),
                Value::List(inner) => out.push_str(&self.array(inner.iter(), zone)?),
                other => {
                    out.push('"');
                    for c in self.some_text(other, zone)?.chars() {
                        if matches!(c, '"' | '\\') {
                            out.push('\\');
                        }
                        out.push(c);
                    }
                    out.push('"');
                }
            }
        }
        out.push('}');
        Ok(out)
    }
}

/// The keys behind a join table, from an array of text.
pub(super) fn references(cell: Cell<'_>) -> Option<Value> {
    let Some(bytes) = cell else { return Some(Value::Null) };
    let keys = Vec::<String>::from_sql(&Type::TEXT_ARRAY, bytes).ok()?;
    let refs = Value::set(keys.into_iter().map(|key| Value::Ref(Ref::Row(key.into()))));
    Some(match refs {
        Value::Set(keys) if keys.is_empty() => Value::Null,
        refs => refs,
    })
}

/// A key column in Postgres's text form, the same in every session.
pub(super) fn key_expression(operand: &str, type_name: &str) -> String {
    let plain = without_length(type_name);
    match canonical_name(&plain) {
        "date" => format!("(to_jsonb({operand})#>>'{{}}')"),
        "timestamp" => format!("replace(to_jsonb({operand})#>>'{{}}', 'T', ' ')"),
        "timestamptz" => format!(
            "CASE WHEN isfinite({operand}) \
             THEN replace(to_jsonb({operand} AT TIME ZONE 'UTC')#>>'{{}}', 'T', ' ') || '+00' \
             ELSE {operand}::text END"
        ),
        "bytea" => format!("'\\x' || encode({operand}, 'hex')"),
        _ => format!("{operand}::text"),
    }
}

/// A type to which text can be cast without being cut: no length, and none implied.
pub(super) fn castable(type_name: &str) -> String {
    let plain = without_length(type_name);
    let (element, array) = match plain.strip_suffix("[]") {
        Some(element) => (element, "[]"),
        None => (plain.as_str(), ""),
    };
    let element = match element {
        "character" | "char" => "bpchar",
        "bit" => "bit varying",
        other => other,
    };
    format!("{element}{array}")
}

/// A type's name without the lengths in parentheses that stand outside quotes.
fn without_length(type_name: &str) -> String {
    let (mut quoted, mut depth) = (false, 0u32);
    type_name
        .chars()
        .filter(|c| {
            match c {
                '"' => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .collect()
}

/// One name for types that have several.
fn canonical_name(plain: &str) -> &str {
    match plain {
        "bool" => "boolean",
        "int2" => "smallint",
        "int4" | "int" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "decimal" => "numeric",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other,
    }
}

/// Whether the name means the same in every search path, so that it can stand for a domain over it.
fn is_builtin(plain: &str) -> bool {
    let element = plain.strip_suffix("[]").unwrap_or(plain);
    matches!(
        canonical_name(element),
        "boolean"
            | "smallint"
            | "integer"
            | "bigint"
            | "real"
            | "double precision"
            | "numeric"
            | "date"
            | "timestamptz"
            | "timestamp"
            | "time"
            | "time without time zone"
            | "time with time zone"
            | "timetz"
            | "interval"
            | "text"
            | "character varying"
            | "varchar"
            | "character"
            | "bpchar"
            | "name"
            | "uuid"
            | "json"
            | "jsonb"
            | "bytea"
            | "inet"
            | "cidr"
            | "daterange"
            | "tstzrange"
            | "tsrange"
    )
}

/// An array from `to_jsonb`; an array of several dimensions is a list of lists.
fn list(text: &str, inner: &ColumnKind, zone: &TimeZone) -> Option<Value> {
    let items = json_text::elements(text)?;
    items
        .into_iter()
        .map(|item| element(item.get(), inner, zone))
        .collect::<Option<Vec<_>>>()
        .map(Value::List)
}

fn element(json: &str, kind: &ColumnKind, zone: &TimeZone) -> Option<Value> {
    if json == "null" && !matches!(kind, ColumnKind::Json) {
        return Some(Value::Null);
    }
    if json.starts_with('[') && !matches!(kind, ColumnKind::Json) {
        return list(json, kind, zone);
    }
    let string = json_text::string(json);
    let text = || string.clone().unwrap_or_else(|| json.to_owned());
    let opaque = |name: &str| Value::opaque(name, text());
    Some(match kind {
        ColumnKind::Integer { .. } | ColumnKind::Numeric { .. } | ColumnKind::Real | ColumnKind::Double => {
            Number::parse(&text()).map_or_else(|_| opaque("numeric"), Value::Number)
        }
        ColumnKind::Bool => Value::Bool(json == "true"),
        ColumnKind::Day => text().parse().map_or_else(|_| opaque("date"), Value::Day),
        ColumnKind::Instant => {
            let text = text();
            if let Ok(at) = text.parse::<Timestamp>() {
                Value::Instant(at)
            } else {
                let clock = text.parse::<civil::DateTime>().ok();
                let at = clock.and_then(|clock| zone.to_ambiguous_zoned(clock).compatible().ok());
                at.map_or_else(|| opaque("timestamp"), |zoned| Value::Instant(zoned.timestamp()))
            }
        }
        ColumnKind::Json => json_text::canonical(json).map_or_else(|| opaque("json"), Value::Json),
        ColumnKind::List(inner) => element(json, inner, zone)?,
        ColumnKind::Reference { .. } | ColumnKind::References { .. } => Value::Ref(Ref::Row(text().into())),
        ColumnKind::Text { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::DayRange
        | ColumnKind::InstantRange
        | ColumnKind::Scalar { .. } => Value::Text(text()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_kind() -> ColumnKind {
        ColumnKind::Text { max: None }
    }

    #[test]
    fn casts_never_cut() {
        for (declared, cast) in [
            ("character varying(3)", "character varying"),
            ("character(3)", "bpchar"),
            ("character(3)[]", "bpchar[]"),
            ("numeric(10,2)", "numeric"),
            ("timestamp(3) without time zone", "timestamp without time zone"),
            ("bit(3)", "bit varying"),
            ("\"Odd (type)\"", "\"Odd (type)\""),
            ("shop.mood", "shop.mood"),
        ] {
            assert_eq!(castable(declared), cast);
        }
        let domain = Column::of("character varying", "shop.short_name", &text_kind());
        assert_eq!(domain.cast(), "character varying");
        let choice = Column::of("mood", "shop.mood", &ColumnKind::Choice { labels: Vec::new() });
        assert_eq!(choice.cast(), "shop.mood");
    }

    #[test]
    fn arrays_survive_their_text_form() {
        let column = Column::of("text[]", "text[]", &ColumnKind::List(Box::new(text_kind())));
        let text = |text: &str| Value::Text(text.into());
        let list = Value::List(vec![text("a\"b\\c"), Value::Null, text("NULL"), text(""), text("x,y {z}")]);
        let zone = TimeZone::UTC;
        assert_eq!(column.text(&list, &zone).unwrap().unwrap(), r#"{"a\"b\\c",NULL,"NULL","","x,y {z}"}"#);
        let json = r#"["a\"b\\c", null, "NULL", "", "x,y {z}"]"#;
        assert_eq!(column.decode(&[Some(json.as_bytes())], &zone).unwrap(), list);
        let nested = column.decode(&[Some(br#"[["a","b"],["c",null]]"#)], &zone).unwrap();
        assert_eq!(column.text(&nested, &zone).unwrap().unwrap(), r#"{{"a","b"},{"c",NULL}}"#);
    }

    #[test]
    fn floats_that_are_no_numbers_are_shown_and_written_back() {
        let column = Column::of("double precision", "double precision", &ColumnKind::Double);
        let zone = TimeZone::UTC;
        for (double, word) in
            [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")]
        {
            let value = column.decode(&[Some(&double.to_be_bytes())], &zone).unwrap();
            assert_eq!(value, Value::opaque("double precision", word));
            assert_eq!(column.text(&value, &zone).unwrap().unwrap(), word);
        }
    }

    #[test]
    fn foreign_kinds_and_nul_are_refused() {
        let column = Column::of("integer", "integer", &ColumnKind::Integer { min: 0, max: 9 });
        let zone = TimeZone::UTC;
        assert_eq!(column.text(&Value::opaque("date", "infinity"), &zone).unwrap_err().code, "kind");
        assert_eq!(column.text(&Value::List(Vec::new()), &zone).unwrap_err().code, "kind");
        assert_eq!(column.text(&Value::Text("a\0".into()), &zone).unwrap_err().code, "nul");
    }

    #[test]
    fn ranges_keep_their_ends() {
        let zone = TimeZone::UTC;
        let column = Column::of("daterange", "daterange", &ColumnKind::DayRange);
        let day = |days: i32| days.to_be_bytes();
        let (one, four) = (day(0), day(3));
        let value = column.decode(&[Some(&one), Some(&four), Some(b"[)")], &zone).unwrap();
        assert_eq!(column.text(&value, &zone).unwrap().unwrap(), "[2000-01-01,2000-01-03]");
        let open = column.decode(&[Some(&one), None, Some(b"[)")], &zone).unwrap();
        assert_eq!(column.text(&open, &zone).unwrap().unwrap(), "[2000-01-01,)");
        let empty = column.decode(&[None, None, Some(b"empty")], &zone).unwrap();
        assert_eq!(column.text(&empty, &zone).unwrap().unwrap(), "empty");

        let column = Column::of("tstzrange", "tstzrange", &ColumnKind::InstantRange);
        let (a, b) = (0i64.to_be_bytes(), 1_000_000i64.to_be_bytes());
        let usual = column.decode(&[Some(&a), Some(&b), Some(b"[)")], &zone).unwrap();
        assert!(matches!(usual, Value::Range(_)));
        let closed = column.decode(&[Some(&a), Some(&b), Some(b"[]")], &zone).unwrap();
        assert_eq!(
            column.text(&closed, &zone).unwrap().unwrap(),
            r#"["2000-01-01 00:00:00+00","2000-01-01 00:00:01+00"]"#
        );
    }
}
