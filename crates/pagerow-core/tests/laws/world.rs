//! A model of both sides and of what is remembered of them, small enough to be obviously right.
//!
//! It carries out a plan as the engine will: settlements first, then the steps in order, each only where its record
//! still looks as the step expects. Every value that a step writes over must be the step's `before`, or the model
//! panics: that is how nothing gets lost.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pagerow_core::{
    adopt::{Doubt, PageHalf, RowHalf, Tier, adopt},
    digest::Digest,
    fidelity::{self, Fidelity},
    guard::{self, Approved},
    mapping::{
        ColumnKind, Field, Flow, KeySource, Mapping, OnPageTrashed, OnRowDeleted, Options, Policy,
        PropertyKind,
    },
    observation::{Absence, Identity, Link, Observation, Pair, Sighting},
    plan::{Action, Because, Census, Expect, Plan, Skipped, Step, Why},
    planner::{Planner, assemble},
    record::{PageId, Record, RowKey},
    rewind::{Past, rewind},
    settle::{self, LinkAfter},
    side::{Side, Sides},
    undo::{Done, Left, Undoing, shown, undo},
    value::{Ref, Value},
};

/// A row or a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Half {
    pub(crate) cells: Vec<Value>,
    pub(crate) away: Option<Absence>,
    /// Seconds; a page shows the start of its minute.
    pub(crate) edited: i64,
    /// A page's key property.
    pub(crate) marker: Option<String>,
}

/// Both sides, the links between them, and a clock.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) mapping: Mapping,
    /// What a column gets that is not written.
    pub(crate) defaults: Vec<Value>,
    pub(crate) rows: BTreeMap<RowKey, Half>,
    pub(crate) pages: BTreeMap<PageId, Half>,
    pub(crate) links: BTreeMap<i64, Link>,
    /// Links whose halves were both deleted.
    pub(crate) buried: BTreeMap<i64, Link>,
    pub(crate) now: i64,
    /// Whether a half with its base's digest is reported as unchanged, or shown all the same.
    pub(crate) by_digest: bool,
    /// What was done, newest last: the history.
    pub(crate) journal: Vec<Done>,
    made: u32,
}

/// What became of a plan's steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) done: usize,
    pub(crate) stale: usize,
}

/// 2026-01-01T00:00:00Z, where the clock starts.
pub(crate) const START: i64 = 1_767_225_600;

impl World {
    pub(crate) fn new(mapping: Mapping) -> Self {
        let defaults = vec![Value::Null; mapping.fields.len()];
        Self {
            mapping,
            defaults,
            rows: BTreeMap::new(),
            pages: BTreeMap::new(),
            links: BTreeMap::new(),
            buried: BTreeMap::new(),
            now: START,
            by_digest: true,
            journal: Vec::new(),
            made: 0,
        }
    }

    fn next(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    pub(crate) fn add_row(&mut self, cells: Vec<Value>) -> RowKey {
        let key = RowKey::from(format!("k{:04}", self.next()));
        self.rows.insert(key.clone(), Half { cells, away: None, edited: self.now, marker: None });
        key
    }

    pub(crate) fn add_page(&mut self, cells: Vec<Value>, marker: Option<String>) -> PageId {
        let page = PageId(uuid::Uuid::from_u128(u128::from(self.next())));
        self.pages.insert(page, Half { cells, away: None, edited: self.now, marker });
        page
    }

    pub(crate) fn add_link(&mut self, key: RowKey, page: PageId, base: Sides<Record>) -> i64 {
        let id = i64::from(self.next());
        // What was forgotten of either of them is no longer true.
        self.buried.retain(|_, link| link.key != key && link.page != page);
        self.links.insert(id, Link { id, key, page, base, apart: None });
        id
    }

    /// A row, the page that it makes, and a link whose bases are what both hold.
    pub(crate) fn add_pair(&mut self, row: Vec<Value>, page: Vec<Value>) -> i64 {
        let base = Sides { postgres: record(&row), notion: record(&page) };
        let key = self.add_row(row);
        let page = self.add_page(page, Some(key.as_str().to_owned()));
        self.add_link(key, page, base)
    }

    /// What a person does to one cell.
    pub(crate) fn edit(&mut self, side: Side, link: i64, field: usize, value: Value) {
        let now = self.now;
        if let Some(half) = self.half_mut(side, link) {
            half.cells[field] = value;
            half.edited = now;
        }
    }

    pub(crate) fn half(&self, side: Side, link: i64) -> Option<&Half> {
        let link = self.links.get(&link)?;
        match side {
            Side::Postgres => self.rows.get(&link.key),
            Side::Notion => self.pages.get(&link.page),
        }
    }

    pub(crate) fn half_mut(&mut self, side: Side, link: i64) -> Option<&mut Half> {
        let link = self.links.get(&link)?;
        match side {
            Side::Postgres => self.rows.get_mut(&link.key),
            Side::Notion => self.pages.get_mut(&link.page),
        }
    }

    /// What a side shows of its cells: pages that are linked are named by their rows.
    pub(crate) fn shown(&self, half: &Half) -> Record {
        let keys: BTreeMap<PageId, &RowKey> = if self.mapping.fields.iter().any(is_reference) {
            self.links.values().map(|link| (link.page, &link.key)).collect()
        } else {
            BTreeMap::new()
        };
        let name = |value: &Value| match value {
            Value::Ref(Ref::Page(page)) => {
                keys.get(page).map_or_else(|| value.clone(), |key| Value::Ref(Ref::Row((*key).clone())))
            }
            other => other.clone(),
        };
        let shown = |value: &Value| match value {
            Value::Set(items) => Value::set(items.iter().map(name)),
            other => name(other),
        };
        Record::new(half.cells.iter().map(|value| Some(shown(value))).collect())
    }

    fn sight(&self, side: Side, half: &Half) -> Sighting {
        let record = self.shown(half);
        let marker = if side == Side::Notion { half.marker.as_deref() } else { None };
        let digest = Digest::of_record(&self.mapping, &record, self.marked(marker), &mut Vec::new());
        let seconds = if side == Side::Notion { half.edited.div_euclid(60) * 60 } else { half.edited };
        Sighting {
            record,
            digest,
            edited: Timestamp::from_second(seconds).ok(),
            editor: None,
            by: None,
            marker: half.marker.clone(),
            checksum: None,
        }
    }

    fn marked<'a>(&self, marker: Option<&'a str>) -> Option<&'a str> {
        if self.mapping.key_property { marker } else { None }
    }

    fn look(&self, side: Side, link: &Link) -> Observation {
        let (half, marker) = match side {
            Side::Postgres => (self.rows.get(&link.key), None),
            Side::Notion => (self.pages.get(&link.page), self.marked(Some(link.key.as_str()))),
        };
        let Some(half) = half else { return Observation::Absent(Absence::Deleted) };
        if let Some(away) = half.away {
            return Observation::Absent(away);
        }
        let sighting = self.sight(side, half);
        let base = link.base.of(side);
        let whole = self.by_digest && base.values().iter().all(Option::is_some);
        if whole && sighting.digest == Digest::of_record(&self.mapping, base, marker, &mut Vec::new()) {
            return Observation::Unchanged;
        }
        Observation::Present(sighting)
    }

    fn natural(&self, side: Side, half: &Half) -> Option<Vec<Value>> {
        if self.mapping.match_on.is_empty() {
            return None;
        }
        let parts = self.mapping.match_on.iter().map(|&place| {
            let field = &self.mapping.fields[place];
            match (side, &half.cells[place]) {
                (_, value) if value.is_empty() => None,
                (Side::Notion, value) => Some(value.clone()),
                (Side::Postgres, value) => match fidelity::in_notion(value, field) {
                    Fidelity::Stored(value) => Some(value),
                    Fidelity::Unstorable(_) => None,
                },
            }
        });
        parts.collect()
    }

    /// One complete look at both sides.
    pub(crate) fn pairs(&self) -> (Vec<Pair>, Vec<Doubt>) {
        let is_back = |link: &&Link| {
            let here = |half: Option<&Half>| half.is_some_and(|half| half.away.is_none());
            here(self.rows.get(&link.key)) || here(self.pages.get(&link.page))
        };
        let back: Vec<&Link> = self.buried.values().filter(is_back).collect();
        let known = || self.links.values().chain(back.iter().copied());
        let linked: BTreeSet<&RowKey> = known().map(|link| &link.key).collect();
        let linked_pages: BTreeSet<PageId> = known().map(|link| link.page).collect();
        let mut pairs: Vec<Pair> = self
            .links
            .values()
            .map(|link| Pair {
                identity: Identity::Linked(link.clone()),
                seen: Sides {
                    postgres: self.look(Side::Postgres, link),
                    notion: self.look(Side::Notion, link),
                },
            })
            .collect();
        pairs.extend(back.iter().map(|link| {
            let see = |side, half: Option<&Half>| match half.map(|half| (half.away, half)) {
                None => Observation::Absent(Absence::Deleted),
                Some((Some(away), _)) => Observation::Absent(away),
                Some((None, half)) => Observation::Present(self.sight(side, half)),
            };
            let postgres = see(Side::Postgres, self.rows.get(&link.key));
            let notion = see(Side::Notion, self.pages.get(&link.page));
            Pair { identity: Identity::Buried((*link).clone()), seen: Sides { postgres, notion } }
        }));
        let rows: Vec<(&RowKey, &Half)> =
            self.rows.iter().filter(|(key, row)| row.away.is_none() && !linked.contains(key)).collect();
        let pages: Vec<(&PageId, &Half)> = self
            .pages
            .iter()
            .filter(|(page, half)| half.away.is_none() && !linked_pages.contains(page))
            .collect();
        let row_halves: Vec<RowHalf> = rows
            .iter()
            .map(|(key, row)| RowHalf {
                key: (*key).clone(),
                page: None,
                natural: self.natural(Side::Postgres, row),
                checksum: None,
            })
            .collect();
        let page_halves: Vec<PageHalf> = pages
            .iter()
            .map(|(page, half)| PageHalf {
                page: **page,
                key: self.marked(half.marker.as_deref()).map(RowKey::from),
                natural: self.natural(Side::Notion, half),
                checksum: None,
            })
            .collect();
        let mut found = adopt(&row_halves, &page_halves);
        // A page with the key of a row that has its page, or is marked as deleted: the engine sets it aside.
        let pages_free = |page: &PageId| !found.pairs.iter().any(|(_, paired, _)| paired == page);
        let doubles: Vec<Doubt> = page_halves
            .iter()
            .filter(|half| pages_free(&half.page))
            .filter_map(|half| {
                let taken = |key: &RowKey| {
                    linked.contains(key) || self.rows.get(key).is_some_and(|row| row.away.is_some())
                };
                let key = half.key.clone().filter(taken)?;
                Some(Doubt { tier: Tier::KeyProperty, rows: vec![key], pages: vec![half.page] })
            })
            .collect();
        found.doubtful.extend(doubles);
        let mut taken_rows: BTreeSet<&RowKey> = found.doubtful.iter().flat_map(|doubt| &doubt.rows).collect();
        let mut taken_pages: BTreeSet<PageId> =
            found.doubtful.iter().flat_map(|doubt| doubt.pages.iter().copied()).collect();
        for (key, page, _) in &found.pairs {
            taken_rows.insert(key);
            taken_pages.insert(*page);
            pairs.push(Pair {
                identity: Identity::Adopted { key: key.clone(), page: *page },
                seen: Sides {
                    postgres: Observation::Present(self.sight(Side::Postgres, &self.rows[key])),
                    notion: Observation::Present(self.sight(Side::Notion, &self.pages[page])),
                },
            });
        }
        // Of a half that is alone the other one is not there; nobody looked for what has no name.
        let nothing = || Observation::Absent(Absence::Deleted);
        for (key, row) in rows.into_iter().filter(|(key, _)| !taken_rows.contains(key)) {
            let postgres = Observation::Present(self.sight(Side::Postgres, row));
            let seen = Sides { postgres, notion: nothing() };
            pairs.push(Pair { identity: Identity::Row(key.clone()), seen });
        }
        for (page, half) in pages.into_iter().filter(|(page, _)| !taken_pages.contains(page)) {
            let notion = Observation::Present(self.sight(Side::Notion, half));
            let seen = Sides { postgres: nothing(), notion };
            pairs.push(Pair { identity: Identity::Page(*page), seen });
        }
        (pairs, found.doubtful)
    }

    pub(crate) fn census(&self) -> Census {
        let here = |half: &&Half| half.away.is_none();
        Census {
            links: self.links.len() as u64,
            records: Sides {
                postgres: Some(self.rows.values().filter(here).count() as u64),
                notion: Some(self.pages.values().filter(here).count() as u64),
            },
            unchanged: 0,
        }
    }

    /// Looks and plans.
    pub(crate) fn plan(&self) -> Plan {
        let (pairs, doubts) = self.pairs();
        plan_of(&self.mapping, &pairs, &doubts, self.census())
    }

    /// Looks, plans and acts until there is nothing left to do; gives the last, empty plan.
    ///
    /// # Panics
    /// When that takes more than `most` plans.
    pub(crate) fn settle_down(&mut self, most: usize) -> Plan {
        for _ in 0..=most {
            let plan = self.plan();
            if plan.is_empty() {
                return plan;
            }
            self.now += 1;
            let approved = approved(plan);
            let applied = self.apply(approved.plan());
            assert_eq!(applied.stale, 0, "nobody else is there, and a step is stale: {:#?}", approved.plan());
        }
        panic!("not quiet after {most} plans; the next would be {:#?}", self.plan());
    }

    /// Carries out a plan.
    pub(crate) fn apply(&mut self, plan: &Plan) -> Applied {
        let mut applied = Applied::default();
        for part in &plan.mappings {
            for settlement in &part.settlements {
                let known = settlement.link.or_else(|| self.link_of(&settlement.key));
                if settlement.forget {
                    if let Some(link) = known.and_then(|id| self.links.remove(&id)) {
                        self.buried.insert(link.id, link);
                    }
                    continue;
                }
                if settlement.raise {
                    self.raise(settlement.link);
                }
                let unread = self.mapping.fields.len();
                let id = known.unwrap_or_else(|| {
                    let base = Sides { postgres: Record::unread(unread), notion: Record::unread(unread) };
                    self.add_link(settlement.key.clone(), settlement.page, base)
                });
                if let Some(link) = self.links.get_mut(&id) {
                    link.base = settle::after_agreement(settlement, link.base.clone());
                    link.apart = None;
                }
            }
        }
        let mut steps: Vec<&Step> = plan.steps().map(|(_, step)| step).collect();
        steps.sort_by_key(|step| step.wave);
        for step in steps {
            if self.act(step) {
                applied.done += 1;
            } else {
                applied.stale += 1;
            }
        }
        applied
    }

    /// Lets a buried link count again.
    fn raise(&mut self, link: Option<i64>) {
        if let Some(link) = link.and_then(|id| self.buried.remove(&id)) {
            self.links.insert(link.id, link);
        }
    }

    fn link_of(&self, key: &RowKey) -> Option<i64> {
        self.links.values().find(|link| link.key == *key).map(|link| link.id)
    }

    fn link_of_page(&self, page: PageId) -> Option<i64> {
        self.links.values().find(|link| link.page == page).map(|link| link.id)
    }

    /// Takes one step; `false` when the record is not as the step expects.
    fn act(&mut self, step: &Step) -> bool {
        let raised = step.link.filter(|id| self.buried.contains_key(id));
        self.raise(raised);
        let done = match step.action {
            Action::Create => self.create(step),
            Action::Update | Action::Restore | Action::Trash | Action::Delete => self.change(step),
        };
        if !done && let Some(link) = raised.and_then(|id| self.links.remove(&id)) {
            self.buried.insert(link.id, link);
        }
        done
    }

    fn create(&mut self, step: &Step) -> bool {
        assert_eq!(step.expect, Expect::Nothing, "a create finds nothing");
        let known = step.link.or_else(|| step.key.as_ref().and_then(|key| self.link_of(key)));
        let known = known.or_else(|| step.page.and_then(|page| self.link_of_page(page)));
        let (left_out, id) = match step.side {
            Side::Notion => {
                let Some(key) = step.key.clone() else { panic!("a page is made for a row: {step:?}") };
                let again = step.link.filter(|_| step.because == Because::Recovered);
                if known.is_some() && again.is_none() {
                    return false;
                }
                let empty = self.mapping.fields.iter().map(empty_property).collect();
                let marker = step.mark.then(|| key.as_str().to_owned());
                let page = self.add_page(empty, marker);
                let left_out = self.write(step, Side::Notion, None, Some(page));
                let id = match again {
                    Some(id) => {
                        self.links.get_mut(&id).expect("it is linked").page = page;
                        id
                    }
                    None => self.add_link(key, page, self.unread()),
                };
                (left_out, id)
            }
            Side::Postgres => {
                let Some(page) = step.page else { panic!("a row is made for a page: {step:?}") };
                if step.link.is_none() && known.is_some() {
                    return false;
                }
                if step.key.as_ref().is_some_and(|key| self.rows.contains_key(key)) {
                    return false;
                }
                let key = match (&step.key, &self.mapping.key) {
                    (Some(key), _) => {
                        let cells = match &step.whole {
                            Some(whole) => serde_json::from_str(whole).expect("it was kept"),
                            None => self.defaults.clone(),
                        };
                        let row = Half { cells, away: None, edited: self.now, marker: None };
                        self.rows.insert(key.clone(), row);
                        key.clone()
                    }
                    (None, KeySource::Generated) => self.add_row(self.defaults.clone()),
                    (None, KeySource::Fields(_) | KeySource::KeyProperty) => {
                        panic!("a row without a key: {step:?}")
                    }
                };
                let left_out = self.write(step, Side::Postgres, Some(&key), None);
                let id = known.unwrap_or_else(|| self.add_link(key, page, self.unread()));
                (left_out, id)
            }
        };
        let is_new = known.is_none();
        self.settle(step, id, is_new, &left_out);
        true
    }

    fn change(&mut self, step: &Step) -> bool {
        let id = step.link.or_else(|| step.key.as_ref().and_then(|key| self.link_of(key)));
        let id = id.or_else(|| step.page.and_then(|page| self.link_of_page(page)));
        let id = id.or_else(|| self.brought_back(step));
        let Some(link) = id.and_then(|id| self.links.get(&id)).cloned() else { return false };
        let is_new = step.because == Because::Undone && step.link.is_none();
        let half = match step.side {
            Side::Postgres => self.rows.get(&link.key),
            Side::Notion => self.pages.get(&link.page),
        };
        let Some(half) = half else { return false };
        let as_expected = match step.expect {
            Expect::Nothing => panic!("a change without an expectation: {step:?}"),
            Expect::Seen(digest) => half.away.is_none() && self.sight(step.side, half).digest == digest,
            Expect::Absent(absence) => half.away == Some(absence),
        };
        if !as_expected {
            return false;
        }
        let shown = self.shown(half);
        for write in step.fields.iter().filter(|write| !write.withheld) {
            assert_eq!(
                write.before.as_ref(),
                shown.get(write.field),
                "a value is written over that the step does not keep: {step:#?}"
            );
        }
        let now = self.now;
        match step.action {
            Action::Create => unreachable!("handled above"),
            Action::Update => {
                let left_out = self.write(step, step.side, Some(&link.key), Some(link.page));
                if step.mark {
                    let key = link.key.as_str().to_owned();
                    if let Some(page) = self.pages.get_mut(&link.page) {
                        page.marker = Some(key);
                    }
                }
                self.settle(step, link.id, false, &left_out);
            }
            Action::Delete => {
                assert_eq!(step.side, Side::Postgres, "pages go to the trash");
                assert_eq!(step.fields.len(), self.mapping.fields.len(), "a deletion keeps the whole record");
                let gone = self.rows.remove(&link.key).expect("it was seen");
                let whole = serde_json::to_string(&gone.cells).expect("values are written down");
                self.journal(&Step { whole: Some(whole), ..step.clone() }, &link, &Record::default());
                self.settle_link(step, link.id, false);
            }
            Action::Trash | Action::Restore => {
                if step.action == Action::Trash {
                    assert_eq!(
                        step.fields.len(),
                        self.mapping.fields.len(),
                        "the trash keeps the whole record"
                    );
                }
                let away = (step.action == Action::Trash).then_some(Absence::Trashed);
                let half = match step.side {
                    Side::Postgres => self.rows.get_mut(&link.key),
                    Side::Notion => self.pages.get_mut(&link.page),
                };
                if let Some(half) = half {
                    half.away = away;
                    half.edited = now;
                }
                if step.action == Action::Trash {
                    self.journal(step, &link, &Record::default());
                    self.settle_link(step, link.id, false);
                } else {
                    let left_out = self.write(step, step.side, Some(&link.key), Some(link.page));
                    self.settle(step, link.id, is_new, &left_out);
                }
            }
        }
        true
    }

    /// The link that an undone deletion had forgotten.
    fn brought_back(&mut self, step: &Step) -> Option<i64> {
        if step.because != Because::Undone || step.action != Action::Restore {
            return None;
        }
        let (key, page) = (step.key.clone()?, step.page?);
        let unread = self.unread();
        // A new link takes the place of the buried one.
        self.buried.retain(|_, link| link.key != key && link.page != page);
        Some(self.add_link(key, page, unread))
    }

    fn journal(&mut self, step: &Step, link: &Link, answer: &Record) {
        let step = Step { key: Some(link.key.clone()), page: Some(link.page), ..step.clone() };
        let seq = self.journal.len() as i32;
        let shown = shown(&step, answer);
        self.journal.push(Done { seq, step, shown, inferred: false });
    }

    fn settle_link(&mut self, step: &Step, id: i64, is_new: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if matches!(step.action, Action::Trash | Action::Delete) {
            link.base = settle::after_step(&self.mapping, step, &Record::default(), link.base.clone(), &[]);
        }
        match settle::link_after(step, (!is_new).then_some(link.apart)) {
            LinkAfter::Kept { apart } => link.apart = apart,
            LinkAfter::Forgotten => {
                let link = self.links.remove(&id);
                self.buried.extend(link.map(|link| (id, link)));
            }
        }
    }

    /// What would take back everything that was done since the journal was so long.
    pub(crate) fn undoing(&self, since: usize) -> Undoing {
        self.taking_back(&self.journal[since..])
    }

    fn taking_back(&self, done: &[Done]) -> Undoing {
        let names: BTreeSet<(RowKey, PageId)> =
            done.iter().filter_map(|done| Some((done.step.key.clone()?, done.step.page?))).collect();
        let pairs: Vec<Pair> = names
            .into_iter()
            .map(|(key, page)| {
                let linked = self.link_of(&key).or_else(|| self.link_of_page(page));
                if let Some(id) = linked {
                    let link = self.links[&id].clone();
                    let seen = Sides {
                        postgres: self.look(Side::Postgres, &link),
                        notion: self.look(Side::Notion, &link),
                    };
                    return Pair { identity: Identity::Linked(link), seen };
                }
                let unread = self.unread();
                let as_if = Link { id: 0, key: key.clone(), page, base: unread, apart: None };
                let seen = Sides {
                    postgres: self.look(Side::Postgres, &as_if),
                    notion: self.look(Side::Notion, &as_if),
                };
                Pair { identity: Identity::Adopted { key, page }, seen }
            })
            .collect();
        undo(&self.mapping, self.census(), done, &pairs)
    }

    /// Takes back everything that was done since the journal was so long. Answers what was left as it is.
    pub(crate) fn undo(&mut self, since: usize) -> Vec<Left> {
        self.carry_out(self.undoing(since))
    }

    /// Puts everything back to how it was when the journal was so long. Answers what was left as it is.
    pub(crate) fn rewind(&mut self, since: usize) -> Vec<Left> {
        let touched: BTreeSet<PageId> =
            self.journal[since..].iter().filter_map(|done| done.step.page).collect();
        let past =
            self.journal.iter().enumerate().map(|(at, done)| Past { done: done.clone(), since: at >= since });
        let past = past.filter(|past| past.done.step.page.is_none_or(|page| touched.contains(&page)));
        let settled = self.links.values().map(|link| (link.page, link.base.clone())).collect();
        let mut rewinding = rewind(&self.mapping, past.collect(), &settled);
        let undoing = self.taking_back(&rewinding.done);
        rewinding.left.extend(self.carry_out(undoing));
        rewinding.left
    }

    fn carry_out(&mut self, undoing: Undoing) -> Vec<Left> {
        let plan = assemble(vec![undoing.part], &[&self.mapping]);
        let approved = approved(plan);
        let applied = self.apply(approved.plan());
        assert_eq!(applied.stale, 0, "nobody else is there, and a step is stale: {:#?}", approved.plan());
        undoing.left
    }

    fn unread(&self) -> Sides<Record> {
        let fields = self.mapping.fields.len();
        Sides { postgres: Record::unread(fields), notion: Record::unread(fields) }
    }

    /// Writes a step's fields; gives those that had to be left out because they name a record that is not there yet.
    fn write(&mut self, step: &Step, side: Side, key: Option<&RowKey>, page: Option<PageId>) -> Vec<usize> {
        let mut left_out = Vec::new();
        let mut cells = Vec::new();
        for write in step.fields.iter().filter(|write| !write.withheld) {
            let field = &self.mapping.fields[write.field];
            match self.resolved(side, &write.after) {
                None => left_out.push(write.field),
                // What a side held, it can hold again.
                Some(value) if step.because == Because::Undone => cells.push((write.field, value)),
                Some(value) => cells.push((write.field, stored(side, value, field))),
            }
        }
        for (place, value) in &cells {
            self.grow(*place, value);
        }
        let now = self.now;
        let half = match side {
            Side::Postgres => key.and_then(|key| self.rows.get_mut(key)),
            Side::Notion => page.and_then(|page| self.pages.get_mut(&page)),
        };
        if let Some(half) = half {
            for (place, value) in cells {
                half.cells[place] = value;
            }
            half.edited = now;
        }
        left_out
    }

    /// References by the names that a side knows; `None` where one of them has no name there yet.
    fn resolved(&self, side: Side, value: &Value) -> Option<Value> {
        let one = |value: &Value| match (side, value) {
            (Side::Notion, Value::Ref(Ref::Row(key))) => {
                let link = self.link_of(key)?;
                Some(Value::Ref(Ref::Page(self.links[&link].page)))
            }
            (Side::Postgres, Value::Ref(Ref::Page(page))) => {
                let link = self.link_of_page(*page)?;
                Some(Value::Ref(Ref::Row(self.links[&link].key.clone())))
            }
            (Side::Postgres, Value::Ref(Ref::Row(key))) => self.rows.contains_key(key).then(|| value.clone()),
            (_, other) => Some(other.clone()),
        };
        match value {
            Value::Set(items) => items.iter().map(one).collect::<Option<BTreeSet<_>>>().map(Value::Set),
            other => one(other),
        }
    }

    /// Options that a write made are options from now on.
    fn grow(&mut self, place: usize, value: &Value) {
        if let PropertyKind::Select(options) | PropertyKind::MultiSelect(options) =
            &mut self.mapping.fields[place].shows
        {
            let mut add = |value: &Value| {
                if let Value::Text(name) = value
                    && options.may_grow
                    && !options.names.iter().any(|known| known.to_lowercase() == name.to_lowercase())
                {
                    options.names.push(name.clone());
                }
            };
            match value {
                Value::Set(items) => items.iter().for_each(add),
                other => add(other),
            }
        }
    }

    fn settle(&mut self, step: &Step, id: i64, is_new: bool, left_out: &[usize]) {
        let Some(half) = self.half(step.side, id) else { panic!("written, and not there: {step:?}") };
        let answer = self.shown(half);
        if let Some(link) = self.links.get_mut(&id) {
            link.base = settle::after_step(&self.mapping, step, &answer, link.base.clone(), left_out);
            let link = link.clone();
            self.journal(step, &link, &answer);
        }
        self.settle_link(step, id, is_new);
    }
}

/// Plans these pairs.
pub(crate) fn plan_of(mapping: &Mapping, pairs: &[Pair], doubts: &[Doubt], census: Census) -> Plan {
    let mut planner = Planner::new(mapping, census);
    pairs.iter().for_each(|pair| planner.consider(pair));
    for doubt in doubts {
        let candidates = doubt.pages.iter().map(ToString::to_string).collect();
        let why = Why::Double { candidates };
        planner.skip(Skipped { key: doubt.rows.first().cloned(), page: doubt.pages.first().copied(), why });
    }
    assemble(vec![planner.finish()], &[mapping])
}

/// Lets a plan pass whatever the guard says of it; these worlds are too small for its shares.
pub(crate) fn approved(plan: Plan) -> Approved {
    let hash = plan.hash();
    match guard::check(plan, &[], &[hash]) {
        Ok(approved) => approved,
        Err(refused) => panic!("overridden, and refused all the same: {:?}", refused.refusals),
    }
}

pub(crate) fn record(cells: &[Value]) -> Record {
    Record::new(cells.iter().cloned().map(Some).collect())
}

/// What a side keeps of a value in the form that was planned for it. A page's options may have grown since.
fn stored(side: Side, value: Value, field: &Field) -> Value {
    if side == Side::Postgres || !field.labels.is_empty() {
        return value;
    }
    match fidelity::in_notion(&value, field) {
        Fidelity::Stored(form) => form,
        Fidelity::Unstorable(reason) => panic!("planned, and not storable: {reason:?}"),
    }
}

/// What a property holds that nobody has filled.
pub(crate) fn empty_property(field: &Field) -> Value {
    if field.shows == PropertyKind::Checkbox { Value::Bool(false) } else { Value::Null }
}

fn is_reference(field: &Field) -> bool {
    matches!(field.shows, PropertyKind::Relation { .. })
}

/// A field that flows both ways, by its kinds.
pub(crate) fn field(name: &str, holds: ColumnKind, shows: PropertyKind) -> Field {
    Field {
        column: name.to_owned(),
        property: name.to_uppercase(),
        property_id: format!("id-{name}"),
        holds,
        shows,
        required: false,
        flow: Flow::Both,
        wins: None,
        labels: BTreeMap::new(),
        lens: None,
    }
}

pub(crate) fn text_field(name: &str) -> Field {
    field(name, ColumnKind::Text { max: None }, PropertyKind::RichText)
}

/// A two-way mapping in which a person decides, deletions go to the trash, and pages carry no key.
pub(crate) fn mapping(fields: Vec<Field>) -> Mapping {
    Mapping {
        name: "things".to_owned(),
        fields,
        direction: Flow::Both,
        on_conflict: Policy::Manual,
        on_row_deleted: OnRowDeleted::Trash,
        on_page_trashed: OnPageTrashed::SoftDelete,
        match_on: Vec::new(),
        key: KeySource::Generated,
        key_property: false,
    }
}

pub(crate) fn options(names: &[&str], may_grow: bool) -> Options {
    Options { names: names.iter().map(|name| (*name).to_owned()).collect(), may_grow, ordered: false }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
