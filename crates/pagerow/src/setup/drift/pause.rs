//! Which of the errors of a resolution are drifts, and what pauses for them.

use pagerow_core::side::Side;

use super::{
    Followed, Pause,
    memory::{field_says, section_says},
};
use crate::{
    config::{Config, ConfigError},
    setup::found::Found,
};

impl Followed {
    /// Turns errors about what was bound before, and is said in the same words still, into pauses. Answers what is
    /// left, and whether anything was paused.
    pub(in crate::setup) fn absorb(
        &mut self,
        config: &Config,
        found: &Found,
        errors: Vec<ConfigError>,
    ) -> (Vec<ConfigError>, bool) {
        let mut left = Vec::new();
        let before = self.fields.len() + self.mappings.len();
        for error in errors {
            match self.pause_for(config, found, &error) {
                Some(pause) => self.pause(pause),
                None => left.push(error),
            }
        }
        while self.pause_dependents() {}
        (left, self.fields.len() + self.mappings.len() > before)
    }

    fn pause(&mut self, pause: Pause) {
        match &pause.column {
            Some(column) => {
                self.fields.entry((pause.mapping.clone(), column.clone())).or_insert(pause);
            }
            None => {
                self.mappings.entry(pause.mapping.clone()).or_insert(pause);
            }
        }
    }

    fn pause_for(&self, config: &Config, found: &Found, error: &ConfigError) -> Option<Pause> {
        // That a data source is to be made is no drift, and what the whole connection lacks is no mapping's.
        let key = error.key.as_ref().filter(|_| !["not_made", "missing_capability"].contains(&error.code))?;
        let under = |prefix: &str| {
            key == prefix || key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
        };
        let (said, now) = config
            .mappings
            .iter()
            .zip(&self.config.mappings)
            .find(|(said, _)| under(&format!("mapping.{}", said.name)))?;
        let memory = found.remembered.get(&said.name)?;
        let prefix = format!("mapping.{}.fields", said.name);
        if under(&prefix) && key != &prefix {
            let (said, now) = said.fields.iter().zip(&now.fields).find(|(said, now)| {
                under(&format!("{prefix}.{}", said.column)) || under(&format!("{prefix}.{}", now.column))
            })?;
            let known = memory
                .fields
                .get(&now.column)
                .or_else(|| memory.fields.get(&memory.columns.get(&said.column)?.name))?;
            if known.says != field_says(said) {
                return None;
            }
            let out = format!("or take {} out of [{prefix}]", said.column);
            return Some(Pause {
                mapping: prefix.strip_prefix("mapping.")?.strip_suffix(".fields")?.to_owned(),
                column: Some(now.column.clone()),
                code: error.code.to_owned(),
                reason: error.message.clone(),
                advice: error
                    .advice
                    .as_ref()
                    .map_or_else(|| out.clone(), |advice| format!("{advice}; {out}")),
                side: Some(Side::Postgres),
                replaceable: false,
            });
        }
        if memory.says != section_says(said) {
            return None;
        }
        let mapping = format!("mapping.{}", said.name);
        let in_notion = ["data_source", "key_property", "stamp", "backup"]
            .iter()
            .any(|key| under(&format!("{mapping}.{key}")));
        let out = format!("or take [{mapping}] out of the file");
        let (reason, advice) = match error.code {
            "no_such_table" => (
                format!("the table {} was dropped, or this role cannot see it any more", said.table.value),
                format!("bring it back, or grant USAGE on its schema and SELECT on it; {out}"),
            ),
            _ => {
                let advice = error.advice.as_ref().map(|advice| advice.trim_end_matches('.'));
                (error.message.clone(), advice.map_or_else(|| out.clone(), str::to_owned))
            }
        };
        Some(Pause {
            mapping: said.name.clone(),
            column: None,
            code: error.code.to_owned(),
            reason,
            advice,
            side: in_notion.then_some(Side::Notion),
            replaceable: false,
        })
    }
}
