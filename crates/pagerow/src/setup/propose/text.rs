//! The file's text: valid, commented, in the order of the tables.

use std::fmt::Write;

use super::{
    Proposal, Surroundings,
    choose::{Choice, Chosen, Line},
};

pub(super) fn write(chosen: &Chosen<'_>, surroundings: &Surroundings) -> Proposal {
    let mut out = String::new();
    let mut choices = Vec::new();
    // Writing to a string cannot fail.
    let _ = head(&mut out, chosen, surroundings);
    for (table, why) in &chosen.left_out {
        choices.push(format!("{table} has no mapping of its own: {why}"));
    }
    if !chosen.left_out.is_empty() {
        out.push_str("\n# Tables without a mapping of their own:\n");
        for (table, why) in &chosen.left_out {
            let _ = writeln!(out, "#   {}: {}", plain(table), plain(why));
        }
    }
    for choice in &chosen.mappings {
        let _ = mapping(&mut out, choice);
        choices.push(explain(choice));
    }
    Proposal { text: out, choices, mappings: chosen.mappings.len() }
}

fn head(out: &mut String, chosen: &Chosen<'_>, around: &Surroundings) -> std::fmt::Result {
    out.push_str(
        "# Written by `pagerow init` from what it found. Everything in here can be changed; lines that begin with # do\n\
         # nothing, and say what was left out and why. Next: `pagerow doctor`, `pagerow schema plan`, `pagerow plan`.\n\n",
    );
    writeln!(out, "[postgres]\nurl = {}", quoted(&around.url))?;
    if around.own_schema != "pagerow" {
        writeln!(out, "schema = {}", quoted(&around.own_schema))?;
    }
    writeln!(out, "\n[notion]\ntoken = {}", quoted(&around.token))?;
    if let Some(base_url) = &around.base_url {
        writeln!(out, "base_url = {}", quoted(base_url))?;
    }
    out.push_str(
        "\n[sync]\ndirection = \"both\"                # both | to_notion | to_postgres\n\
         on_conflict = \"manual\"            # manual | last_write_wins | prefer_postgres | prefer_notion\n",
    );
    if chosen.mappings.iter().any(|choice| choice.source.is_none()) {
        writeln!(
            out,
            "parent_page = {}   # under this page the databases are made; share it with the connection",
            quoted(&around.parent_page)
        )?;
    }
    Ok(())
}

fn mapping(out: &mut String, choice: &Choice<'_>) -> std::fmt::Result {
    let name = key(&choice.name);
    writeln!(out, "\n[mapping.{name}]\ntable = {}", quoted(&choice.table.full_name()))?;
    match choice.source {
        Some(source) => {
            writeln!(
                out,
                "data_source = {}   # \"{}\", paired by its name",
                quoted(&source.id),
                plain(&source.title.plain_text())
            )?;
            if choice.adds_key_property {
                writeln!(
                    out,
                    "manage_schema = true   # lets `pagerow schema apply` add the property \"Supabase ID\", which carries each row's key"
                )?;
            }
        }
        None => writeln!(
            out,
            "data_source = \"create\"   # `pagerow schema apply` makes it and writes its id here"
        )?,
    }
    if choice.table.primary_key.is_empty() {
        writeln!(
            out,
            "# The table has no primary key; its unique columns {} tell rows apart.",
            plain(&choice.table.key().join(", "))
        )?;
    } else if choice.table.key().len() > 1 {
        writeln!(
            out,
            "# The key has several columns: {}. The key property holds them as a JSON array.",
            plain(&choice.table.key().join(", "))
        )?;
    }
    if !choice.match_on.is_empty() {
        let names: Vec<String> = choice.match_on.iter().map(|name| quoted(name)).collect();
        writeln!(
            out,
            "match_on = [{}]   # unique, so it finds pages of rows that are not linked yet",
            names.join(", ")
        )?;
    }
    if let Some(column) = &choice.updated_at {
        writeln!(out, "updated_at = {}", quoted(column))?;
    }
    if let Some(column) = &choice.soft_delete {
        writeln!(out, "soft_delete = {}", quoted(column))?;
    }
    writeln!(out, "\n[mapping.{name}.fields]")?;
    for line in &choice.lines {
        field(out, line)?;
    }
    if !choice.lines.iter().any(|line| line.left_out.is_none()) {
        writeln!(out, "# Nothing could be paired: at least one line has to be active.")?;
    }
    if !choice.columns.is_empty() {
        writeln!(out, "\n[mapping.{name}.columns]   # pagerow keeps these up to date")?;
        for (setting, column) in &choice.columns {
            writeln!(out, "{setting} = {}", quoted(column))?;
        }
    }
    Ok(())
}

fn field(out: &mut String, line: &Line) -> std::fmt::Result {
    let mut parts = Vec::new();
    if let Some(word) = line.shown_as {
        parts.push(format!("as = {}", quoted(word.name())));
    }
    if let Some(relation) = &line.relation {
        parts.push(format!("relation = {}", quoted(relation)));
    }
    if let Some(through) = &line.through {
        parts.push(format!("through = {}", quoted(&through.table)));
        parts.push(format!("own_column = {}", quoted(&through.own_column)));
        parts.push(format!("other_column = {}", quoted(&through.other_column)));
    }
    if line.to_notion {
        parts.push("direction = \"to_notion\"".to_owned());
    }
    let property = quoted(&line.property);
    let value = if parts.is_empty() {
        property
    } else {
        format!("{{ property = {property}, {} }}", parts.join(", "))
    };
    let (mark, note) = match &line.left_out {
        Some(why) => ("# ", why),
        None => ("", &line.note),
    };
    write!(out, "{mark}{} = {value}", key(&line.column))?;
    if note.is_empty() { writeln!(out) } else { writeln!(out, "   # {}", plain(note)) }
}

fn explain(choice: &Choice<'_>) -> String {
    let target = match choice.source {
        Some(source) => format!("is paired with \"{}\"", source.title.plain_text()),
        None => "gets a database of its own".to_owned(),
    };
    let title = choice.lines.iter().find(|line| line.shown_as == Some(crate::config::PropertyWord::Title));
    let title = title.map_or_else(String::new, |line| format!("; its title is {}", line.column));
    let out: Vec<String> = choice
        .lines
        .iter()
        .filter_map(|line| Some(format!("{} ({})", line.column, line.left_out.as_ref()?)))
        .filter(|line| !line.contains("the key stands in"))
        .collect();
    let out = if out.is_empty() { String::new() } else { format!("; left out: {}", out.join(", ")) };
    format!("{} {target}{title}{out}", choice.table.full_name())
}

/// A TOML key, in quotes where it needs them.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { quoted(name) }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// For comments, which end with the line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
