//! `from_notion` held against its property, where nothing leads back.

use jiff::tz::TimeZone;
use pagerow_core::{
    expression::Expression, fidelity::in_column, lens::failure, mapping::ColumnKind, value::Value,
};

use super::find;
use crate::{
    config::nearest,
    notion::{
        source::BesideProperty,
        wire::{DataSource, PropertySchema},
    },
    setup::{
        draft::{Draft, DraftField, Look, samples},
        kinds::describe,
    },
};

/// Kinds that say too little by themselves for an expression.
const REFUSED: [&str; 3] = ["relation", "rollup", "button"];

/// Complains where the expression cannot look at what it names, or makes nothing that the column can hold.
pub(super) fn is_sound<'a>(
    look: &mut Look<'a>,
    field: &DraftField<'a>,
    from: &Expression,
    property: &PropertySchema,
    source: &'a DataSource,
) -> Option<()> {
    let setting = field.config.from_notion.as_ref()?;
    let before = look.errors.len();
    for name in from.names() {
        if find(source, name).is_none() {
            let names: Vec<&str> = source.properties.iter().map(|property| property.name.as_str()).collect();
            let message =
                format!("the data source \"{}\" has no property \"{name}\"", source.title.plain_text());
            let error = look
                .error(&setting.place, "no_such_property", &setting.key, message)
                .suggest(nearest(name, names.iter().copied()))
                .advise(format!("its properties are {}", names.join(", ")));
            look.errors.push(error);
        }
    }
    let looked_at = from.names().iter().filter_map(|name| find(source, name)).chain([property]);
    for refused in looked_at.filter(|property| REFUSED.contains(&property.config.kind())) {
        let message = format!(
            "an expression cannot look at the property \"{}\", which is of kind {}",
            refused.name,
            refused.config.kind()
        );
        look.complain(setting, "wrong_pair", message, "leave it out of the expression");
    }
    if look.errors.len() > before {
        return None;
    }
    let column =
        field.lens.as_ref().and_then(|lens| lens.column.clone()).unwrap_or(ColumnKind::Text { max: None });
    let required = field.lens.as_ref().is_some_and(|lens| lens.required);
    let of = |property: &PropertySchema| {
        let options: Vec<String> =
            property.config.options().iter().map(|option| option.name.clone()).collect();
        samples::of_property(property.config.kind(), &options, from.literals())
    };
    let around: Vec<(&str, Vec<Value>)> =
        from.names().iter().filter_map(|name| Some((name.as_str(), of(find(source, name)?)))).collect();
    let values = of(property);
    let most = around.iter().map(|(_, samples)| samples.len()).chain([values.len()]).max().unwrap_or(1);
    let mut why: Option<String> = None;
    let mut fits = 0_usize;
    for at in 0..most {
        let page = |name: &str| {
            let (_, samples) = around.iter().find(|(property, _)| *property == name)?;
            samples.get(at % samples.len())
        };
        let lens = field.lens.as_ref()?;
        let shows =
            lens.of_page(&values[at % values.len()], &page, jiff::Timestamp::UNIX_EPOCH, &TimeZone::UTC);
        match failure(&shows).map_or_else(|| in_column(&shows, &column, required), Err) {
            Ok(Value::Null) => {}
            Ok(_) => fits += 1,
            Err(reason) => drop(why.get_or_insert(reason.text)),
        }
    }
    let Some(why) = why.filter(|_| fits == 0) else { return Some(()) };
    // A text of a certain form may still fit.
    if matches!(property.config.kind(), "title" | "rich_text" | "url" | "email" | "phone_number") {
        look.warn(
            setting.key.clone(),
            format!("for no sample it gives what the column {} can hold: {why}", field.config.column),
            Some("records for which it fails are parked".to_owned()),
        );
        return Some(());
    }
    let message = format!(
        "for no value of \"{}\" it gives what the column {} can hold, which is {}: {why}",
        property.name,
        field.config.column,
        describe(&column)
    );
    look.complain(setting, "wrong_expression", message, "docs/expressions.md describes the language");
    None
}

/// The properties that expressions name, by their words for them.
pub(in crate::setup::resolve) fn looked_at(draft: &Draft<'_>, source: &DataSource) -> Vec<BesideProperty> {
    let mut beside: Vec<BesideProperty> = Vec::new();
    let expressions = draft.fields.iter().filter_map(|field| field.lens.as_ref()?.from_notion.as_ref());
    for name in expressions.flat_map(Expression::names) {
        if beside.iter().any(|property| property.name == *name) {
            continue;
        }
        beside.extend(find(source, name).map(|property| BesideProperty {
            name: name.clone(),
            id: property.id.as_str().to_owned(),
            kind: property.config.kind().to_owned(),
        }));
    }
    beside
}
