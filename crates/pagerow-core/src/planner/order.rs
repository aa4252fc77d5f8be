//! In which order steps are taken: what is referred to before what refers to it, deletions last and the other way
//! round.

use std::collections::BTreeMap;

use crate::{
    mapping::{ColumnKind, Mapping, PropertyKind},
    plan::{Action, MappingPlan},
    record::{PageId, RowKey},
    side::Side,
    value::{Ref, Value},
};

/// A step by its mapping's place and its own.
type At = (usize, usize);

/// Gives every step its wave. A circle of references is cut where it is first met again; the step there is written
/// without the reference, which follows in the next plan.
pub(super) fn put_in_waves(parts: &mut [MappingPlan], mappings: &[&Mapping]) {
    let created = Created::of(parts);
    let mut waves = Waves { parts, mappings, created: &created, depth: BTreeMap::new() };
    let all: Vec<At> = (0..waves.parts.len())
        .flat_map(|mapping| (0..waves.parts[mapping].steps.len()).map(move |step| (mapping, step)))
        .collect();
    let depths: Vec<(At, u32)> = all.into_iter().map(|at| (at, waves.depth(at))).collect();

    let deepest = depths.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
    let count = parts.len();
    for ((mapping, step), depth) in depths {
        let step = &mut parts[mapping].steps[step];
        step.wave = match step.action {
            Action::Trash | Action::Delete => deepest + (count - mapping) as u32,
            Action::Create | Action::Update | Action::Restore => depth,
        };
    }
}

/// The records that this plan makes, by the names under which others may refer to them.
struct Created {
    pages: BTreeMap<(String, RowKey), At>,
    rows: BTreeMap<(String, PageId), At>,
}

impl Created {
    fn of(parts: &[MappingPlan]) -> Self {
        let mut created = Self { pages: BTreeMap::new(), rows: BTreeMap::new() };
        for (mapping, part) in parts.iter().enumerate() {
            for (number, step) in part.steps.iter().enumerate() {
                if step.action != Action::Create {
                    continue;
                }
                match (step.side, &step.key, step.page) {
                    (Side::Notion, Some(key), _) => {
                        created.pages.insert((part.mapping.clone(), key.clone()), (mapping, number));
                    }
                    (Side::Postgres, _, Some(page)) => {
                        created.rows.insert((part.mapping.clone(), page), (mapping, number));
                    }
                    _ => {}
                }
            }
        }
        created
    }

    fn is_empty(&self) -> bool {
        self.pages.is_empty() && self.rows.is_empty()
    }
}

struct Waves<'a> {
    parts: &'a [MappingPlan],
    mappings: &'a [&'a Mapping],
    created: &'a Created,
    /// Known depths; `None` while a step is being visited.
    depth: BTreeMap<At, Option<u32>>,
}

impl Waves<'_> {
    /// The length of the longest chain of creates that a step waits for, without recursion: a chain may be as long as
    /// the table.
    fn depth(&mut self, at: At) -> u32 {
        if self.created.is_empty() {
            return 0;
        }
        let mut stack = vec![at];
        while let Some(&top) = stack.last() {
            if let Some(Some(_)) = self.depth.get(&top) {
                stack.pop();
                continue;
            }
            let first_visit = self.depth.insert(top, None).is_none();
            let needs = self.needs(top);
            if first_visit {
                let open: Vec<At> =
                    needs.iter().filter(|need| !self.depth.contains_key(need)).copied().collect();
                if !open.is_empty() {
                    stack.extend(open);
                    continue;
                }
            }
            // What is still being visited here closes a circle and does not count.
            let deepest = needs.iter().filter_map(|need| self.depth.get(need).copied().flatten()).max();
            self.depth.insert(top, Some(deepest.map_or(0, |depth| depth + 1)));
            stack.pop();
        }
        self.depth.get(&at).copied().flatten().unwrap_or(0)
    }

    /// The creates that a step refers to.
    fn needs(&self, (mapping, step): At) -> Vec<At> {
        let step = &self.parts[mapping].steps[step];
        let mut needs = Vec::new();
        // A page is marked with its row's key when the row is there.
        if let (true, Action::Update, Some(page)) = (step.mark, step.action, step.page) {
            needs.extend(self.created.rows.get(&(self.parts[mapping].mapping.clone(), page)).copied());
        }
        for write in &step.fields {
            let Some(related) = self.mappings.get(mapping).and_then(|m| related(m, write.field)) else {
                continue;
            };
            each_ref(&write.after, &mut |reference| {
                let need = match (step.side, reference) {
                    (Side::Notion, Ref::Row(key)) => {
                        self.created.pages.get(&(related.to_owned(), key.clone()))
                    }
                    (Side::Postgres, Ref::Page(page)) => self.created.rows.get(&(related.to_owned(), *page)),
                    (Side::Notion, Ref::Page(_)) | (Side::Postgres, Ref::Row(_)) => None,
                };
                needs.extend(need.copied());
            });
        }
        needs
    }
}

/// The mapping that a field refers to.
fn related(mapping: &Mapping, field: usize) -> Option<&str> {
    let field = mapping.fields.get(field)?;
    match (&field.holds, &field.shows) {
        (ColumnKind::Reference { mapping } | ColumnKind::References { mapping }, _)
        | (_, PropertyKind::Relation { mapping, .. }) => Some(mapping),
        _ => None,
    }
}

/// Calls `found` for every reference in a value.
fn each_ref(value: &Value, found: &mut dyn FnMut(&Ref)) {
    match value {
        Value::Ref(reference) => found(reference),
        Value::Set(values) => values.iter().for_each(|value| each_ref(value, found)),
        Value::List(values) => values.iter().for_each(|value| each_ref(value, found)),
        Value::Null
        | Value::Text(_)
        | Value::Number(_)
        | Value::Bool(_)
        | Value::Day(_)
        | Value::Instant(_)
        | Value::Range(_)
        | Value::File(_)
        | Value::Person(_)
        | Value::Json(_)
        | Value::Markdown(_)
        | Value::Opaque(_) => {}
    }
}
