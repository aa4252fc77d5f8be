//! In which order steps are taken: what is referred to before what refers to it, deletions last and the other way
//! round.

use std::collections::BTreeMap;

use crate::{
    mapping::{Field, Mapping},
    plan::{Action, FieldWrite, MappingPlan, Step},
    record::{PageId, RowKey},
    side::Side,
    value::{Ref, Value},
};

/// A step by its mapping's place and its own.
type At = (usize, usize);

/// Gives every step its wave. A circle of references is cut where it is first met again; the step there is written
/// without the reference, which follows in the next plan. Where that is depends on the steps' order, so they come
/// sorted.
pub(super) fn put_in_waves(parts: &mut [MappingPlan], mappings: &[&Mapping]) {
    let (makes, removals) = (Named::of(parts, is_make), Named::of(parts, is_removal));
    let makes =
        Waves { parts, mappings, named: &makes, of: |write| Some(&write.after), depth: BTreeMap::new() };
    let makes = makes.depths(is_make_or_update);
    // What refers goes before what it refers to: the depth by what is deleted, the other way round.
    let removals = Waves {
        parts,
        mappings,
        named: &removals,
        of: |write| write.before.as_ref(),
        depth: BTreeMap::new(),
    };
    let removals = removals.depths(is_removal);

    let mut wave = makes.values().max().map_or(0, |deepest| deepest + 1);
    for (&(mapping, step), depth) in &makes {
        parts[mapping].steps[step].wave = *depth;
    }
    for (at, part) in parts.iter_mut().enumerate().rev() {
        let Some(deepest) = removals.range((at, 0)..(at + 1, 0)).map(|(_, depth)| *depth).max() else {
            continue;
        };
        for (&(_, step), depth) in removals.range((at, 0)..(at + 1, 0)) {
            part.steps[step].wave = wave + (deepest - depth);
        }
        wave += deepest + 1;
    }
}

fn is_make(step: &Step) -> bool {
    match step.action {
        Action::Create => true,
        // A relation may not name a page in the trash.
        Action::Restore => step.side == Side::Notion,
        Action::Update | Action::Trash | Action::Delete => false,
    }
}

fn is_removal(step: &Step) -> bool {
    matches!(step.action, Action::Trash | Action::Delete)
}

fn is_make_or_update(step: &Step) -> bool {
    !is_removal(step)
}

/// Some of a plan's steps, by the names under which others may refer to their records.
struct Named {
    keys: BTreeMap<(String, Side, RowKey), At>,
    pages: BTreeMap<(String, Side, PageId), At>,
}

impl Named {
    fn of(parts: &[MappingPlan], which: fn(&Step) -> bool) -> Self {
        let mut named = Self { keys: BTreeMap::new(), pages: BTreeMap::new() };
        for (mapping, part) in parts.iter().enumerate() {
            for (number, step) in part.steps.iter().enumerate().filter(|(_, step)| which(step)) {
                if let Some(key) = &step.key {
                    named.keys.insert((part.mapping.clone(), step.side, key.clone()), (mapping, number));
                }
                if let Some(page) = step.page {
                    named.pages.insert((part.mapping.clone(), step.side, page), (mapping, number));
                }
            }
        }
        named
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.pages.is_empty()
    }

    fn get(&self, mapping: &str, side: Side, reference: &Ref) -> Option<At> {
        match reference {
            Ref::Row(key) => self.keys.get(&(mapping.to_owned(), side, key.clone())).copied(),
            Ref::Page(page) => self.pages.get(&(mapping.to_owned(), side, *page)).copied(),
        }
    }
}

struct Waves<'a> {
    parts: &'a [MappingPlan],
    mappings: &'a [&'a Mapping],
    named: &'a Named,
    /// The value whose references count.
    of: fn(&FieldWrite) -> Option<&Value>,
    /// Known depths; `None` while a step is being visited.
    depth: BTreeMap<At, Option<u32>>,
}

impl Waves<'_> {
    fn depths(mut self, which: fn(&Step) -> bool) -> BTreeMap<At, u32> {
        let all: Vec<At> = (0..self.parts.len())
            .flat_map(|mapping| (0..self.parts[mapping].steps.len()).map(move |step| (mapping, step)))
            .filter(|(mapping, step)| which(&self.parts[*mapping].steps[*step]))
            .collect();
        all.into_iter().map(|at| (at, self.depth(at))).collect()
    }

    /// The length of the longest chain of named steps that a step waits for, without recursion: a chain may be as
    /// long as the table.
    fn depth(&mut self, at: At) -> u32 {
        if self.named.is_empty() {
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

    /// The named steps that a step refers to.
    fn needs(&self, (mapping, step): At) -> Vec<At> {
        let step = &self.parts[mapping].steps[step];
        let mut needs = Vec::new();
        // A page is marked with its row's key when the row is there.
        if let (true, Action::Update, Some(page)) = (step.mark, step.action, step.page) {
            needs.extend(self.named.get(&self.parts[mapping].mapping, Side::Postgres, &Ref::Page(page)));
        }
        for write in &step.fields {
            let field = self.mappings.get(mapping).and_then(|mapping| mapping.fields.get(write.field));
            let (Some(related), Some(value)) = (field.and_then(Field::related), (self.of)(write)) else {
                continue;
            };
            each_ref(value, &mut |reference| needs.extend(self.named.get(related, step.side, reference)));
        }
        needs
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
