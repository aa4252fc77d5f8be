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

/// By mapping and step: how long the longest chain is of steps that it waits for; `None` for a step that does not count.
type Depths = Vec<Vec<Option<u32>>>;

/// Gives every step its wave. A circle of references is cut where it is first met again; the step there is written
/// without the reference, which follows in the next plan. Where that is depends on the steps' order, so they come
/// sorted.
pub(super) fn put_in_waves(parts: &mut [MappingPlan], mappings: &[&Mapping]) {
    let makes = depths(parts, mappings, is_make, is_make_or_update, |write| Some(&write.after));
    // What refers goes before what it refers to: the depth by what is deleted, the other way round.
    let removals = depths(parts, mappings, is_removal, is_removal, |write| write.before.as_ref());

    let mut wave = makes.iter().flatten().flatten().max().map_or(0, |deepest| deepest + 1);
    for (part, depths) in parts.iter_mut().zip(&makes) {
        for (step, depth) in part.steps.iter_mut().zip(depths) {
            if let Some(depth) = depth {
                step.wave = *depth;
            }
        }
    }
    for (part, depths) in parts.iter_mut().zip(&removals).rev() {
        let Some(deepest) = depths.iter().flatten().max() else { continue };
        for (step, depth) in part.steps.iter_mut().zip(depths) {
            if let Some(depth) = depth {
                step.wave = wave + (deepest - depth);
            }
        }
        wave += deepest + 1;
    }
}

/// The depths of some steps, by the references in their values to some steps.
fn depths(
    parts: &[MappingPlan],
    mappings: &[&Mapping],
    named: fn(&Step) -> bool,
    which: fn(&Step) -> bool,
    of: fn(&FieldWrite) -> Option<&Value>,
) -> Depths {
    let named = Named::of(parts, named);
    let unknown = parts.iter().map(|part| vec![Depth::Unknown; part.steps.len()]).collect();
    let mut waves = Waves { parts, mappings, named: &named, of, depth: unknown };
    let mut depths: Depths = parts.iter().map(|part| vec![None; part.steps.len()]).collect();
    for (mapping, part) in parts.iter().enumerate() {
        for (step, _) in part.steps.iter().enumerate().filter(|(_, step)| which(step)) {
            depths[mapping][step] = Some(waves.depth((mapping, step)));
        }
    }
    depths
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
struct Named<'a> {
    /// The places of the mappings.
    places: BTreeMap<&'a str, usize>,
    keys: BTreeMap<(usize, Side, &'a RowKey), At>,
    pages: BTreeMap<(usize, Side, PageId), At>,
}

impl<'a> Named<'a> {
    fn of(parts: &'a [MappingPlan], which: fn(&Step) -> bool) -> Self {
        let places = parts.iter().enumerate().map(|(place, part)| (part.mapping.as_str(), place)).collect();
        let mut named = Self { places, keys: BTreeMap::new(), pages: BTreeMap::new() };
        for (mapping, part) in parts.iter().enumerate() {
            for (number, step) in part.steps.iter().enumerate().filter(|(_, step)| which(step)) {
                if let Some(key) = &step.key {
                    named.keys.insert((mapping, step.side, key), (mapping, number));
                }
                if let Some(page) = step.page {
                    named.pages.insert((mapping, step.side, page), (mapping, number));
                }
            }
        }
        named
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.pages.is_empty()
    }

    fn get(&self, mapping: &str, side: Side, reference: &Ref) -> Option<At> {
        let place = *self.places.get(mapping)?;
        match reference {
            Ref::Row(key) => self.keys.get(&(place, side, key)).copied(),
            Ref::Page(page) => self.pages.get(&(place, side, *page)).copied(),
        }
    }
}

struct Waves<'a> {
    parts: &'a [MappingPlan],
    mappings: &'a [&'a Mapping],
    named: &'a Named<'a>,
    /// The value whose references count.
    of: fn(&FieldWrite) -> Option<&Value>,
    depth: Vec<Vec<Depth>>,
}

/// What is known of a step's depth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Unknown,
    /// It is being visited.
    Open,
    Known(u32),
}

impl Waves<'_> {
    /// The length of the longest chain of named steps that a step waits for, without recursion: a chain may be as
    /// long as the table.
    fn depth(&mut self, at: At) -> u32 {
        if self.named.is_empty() {
            return 0;
        }
        let mut stack = vec![at];
        while let Some(&top) = stack.last() {
            let first_visit = match self.state(top) {
                Depth::Known(_) => {
                    stack.pop();
                    continue;
                }
                Depth::Unknown => true,
                Depth::Open => false,
            };
            self.set(top, Depth::Open);
            let needs = self.needs(top);
            if first_visit {
                let open: Vec<At> =
                    needs.iter().filter(|need| self.state(**need) == Depth::Unknown).copied().collect();
                if !open.is_empty() {
                    stack.extend(open);
                    continue;
                }
            }
            // What is still being visited here closes a circle and does not count.
            let deepest = needs.iter().filter_map(|need| self.known(*need)).max();
            self.set(top, Depth::Known(deepest.map_or(0, |depth| depth + 1)));
            stack.pop();
        }
        self.known(at).unwrap_or(0)
    }

    fn state(&self, (mapping, step): At) -> Depth {
        self.depth[mapping][step]
    }

    fn set(&mut self, (mapping, step): At, depth: Depth) {
        self.depth[mapping][step] = depth;
    }

    fn known(&self, at: At) -> Option<u32> {
        match self.state(at) {
            Depth::Known(depth) => Some(depth),
            Depth::Unknown | Depth::Open => None,
        }
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
