//! The check that turns a plan into an approved plan, or refuses it with numbers.

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    mutant::{self, Mutant},
    plan::{Action, MappingPlan, Plan, Step},
    side::{Side, Sides},
};

/// How much one plan may do before a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Deletions, as a share of the links (0 to 1).
    pub deletes: f64,
    /// Links in which one field is blanked, as a share of the links.
    pub blanked: f64,
    /// Linked records that are made anew, as a share of the links.
    pub remade: f64,
    /// So many records may always be touched, however few there are.
    pub floor: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deletes: 0.20, blanked: 0.30, remade: 0.50, floor: 10 }
    }
}

/// What a mapping's part of a plan is weighed against, beside its own numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Against {
    pub limits: Limits,
    /// Records that earlier runs deleted on each side within the last hour, since a person last let such a plan pass.
    pub lately: Sides<u64>,
    /// The mapping as it is configured now, where the plan may be an older one's.
    pub fingerprint: Option<Digest>,
    /// Another table than the one that was synced stands under its name.
    pub replaced: Option<Replaced>,
    /// Linked rows that the role may no longer see, since row level security came to bind it.
    pub hidden: u64,
    /// A side was emptied or rewritten in one go, not record by record.
    pub emptied: Sides<bool>,
    /// New records that are equal to a linked one.
    pub alike: u64,
    /// Conflicts of the plan that a person has been asked about already.
    pub asked: u64,
    /// The side that the plan rebuilds: that it is empty, another table, or made anew is what it is there for, and
    /// whoever is shown the plan is asked. In exchange it deletes nothing at all.
    pub recovering: Option<Side>,
}

impl From<Limits> for Against {
    fn from(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }
}

/// Two tables of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Replaced {
    /// As the configuration names it.
    pub table: String,
    /// The catalogue's number for the table that was synced, and for the one that is there now.
    pub was: u32,
    pub is: u32,
}

/// Why a mapping's part of a plan is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    pub mapping: String,
    pub rule: Rule,
    /// The number that was met.
    pub seen: u64,
    /// The largest number that would have passed.
    pub limit: u64,
    /// A sentence with the numbers.
    pub text: String,
    /// What would let it go on.
    #[serde(default)]
    pub advice: String,
    /// The name of what was stopped; naming it lets this one part pass. `None`: nothing does.
    #[serde(rename = "override")]
    pub pass: Option<Digest>,
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The mapping is no longer the one that the plan was made for.
    SchemaChanged,
    /// Another table stands under the name of the one that was synced.
    OtherTable,
    /// Rows that were linked may no longer be seen by our role.
    HiddenRows,
    /// A side that had records has none.
    EmptySide,
    /// Too many deletions on one side, in one run or within an hour.
    MassDeletion,
    /// One field goes blank in too many records.
    MassBlanking,
    /// Too many linked records are made anew.
    MassRemaking,
    /// Too many new records are equal to linked ones.
    MassDoubling,
}

impl Rule {
    /// The word in JSON and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SchemaChanged => "schema_changed",
            Self::OtherTable => "other_table",
            Self::HiddenRows => "hidden_rows",
            Self::EmptySide => "empty_side",
            Self::MassDeletion => "mass_deletion",
            Self::MassBlanking => "mass_blanking",
            Self::MassRemaking => "mass_remaking",
            Self::MassDoubling => "mass_doubling",
        }
    }
}

/// A plan that may be carried out. Only [`check`] and [`sift`] make one.
#[derive(Clone, Debug)]
pub struct Approved {
    plan: Plan,
    hash: Digest,
    overridden: Vec<Refusal>,
}

impl Approved {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its name.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// The plan, which has to be weighed again before anybody carries it out.
    #[must_use]
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// What would have stopped it, had nobody overridden it.
    #[must_use]
    pub fn overridden(&self) -> &[Refusal] {
        &self.overridden
    }
}

/// A plan that was stopped.
#[derive(Clone, Debug)]
pub struct Refused {
    pub plan: Plan,
    pub refusals: Vec<Refusal>,
}

/// A plan without the mappings that were stopped.
#[derive(Clone, Debug)]
pub struct Sifted {
    pub approved: Approved,
    /// The stopped mappings' places in the plan that was given.
    pub held: Vec<usize>,
    /// Why they were stopped.
    pub refusals: Vec<Refusal>,
}

/// Weighs a plan as a whole. `against` is by the plan's mappings, in order; `pass` names what a person lets through: the
/// whole plan, or one mapping's part as its refusals name it.
///
/// # Errors
/// [`Refused`], with every rule that is broken and not overridden.
pub fn check(plan: Plan, against: &[Against], pass: &[Digest]) -> Result<Approved, Box<Refused>> {
    let hash = plan.hash();
    let (mut refusals, mut overridden) = (Vec::new(), Vec::new());
    for (_, broken, passes) in weighed(&plan, hash, against, pass) {
        if passes { &mut overridden } else { &mut refusals }.extend(broken);
    }
    if refusals.is_empty() {
        Ok(Approved { plan, hash, overridden })
    } else {
        Err(Box::new(Refused { plan, refusals }))
    }
}

/// As [`check`], but one mapping's stop does not stop the others: its part is taken out of the plan. A step of another
/// mapping that refers to a record whose creation is held back waits for it, as for any relative that is not there.
#[must_use]
pub fn sift(mut plan: Plan, against: &[Against], pass: &[Digest]) -> Sifted {
    let hash = plan.hash();
    let (mut held, mut refusals, mut overridden) = (Vec::new(), Vec::new(), Vec::new());
    for (at, broken, passes) in weighed(&plan, hash, against, pass) {
        if passes {
            overridden.extend(broken);
        } else {
            held.push(at);
            refusals.extend(broken);
        }
    }
    let mut at = 0;
    plan.mappings.retain(|_| {
        at += 1;
        !held.contains(&(at - 1))
    });
    let hash = if held.is_empty() { hash } else { plan.hash() };
    Sifted { approved: Approved { plan, hash, overridden }, held, refusals }
}

/// The parts that break a rule, with what they break and whether they were let pass.
fn weighed(
    plan: &Plan,
    hash: Digest,
    against: &[Against],
    pass: &[Digest],
) -> Vec<(usize, Vec<Refusal>, bool)> {
    let usual = Against::default();
    let mut weighed = Vec::new();
    if mutant::is(Mutant::NoGuard) {
        return weighed;
    }
    for (at, part) in plan.mappings.iter().enumerate() {
        let mut broken = weigh(part, against.get(at).unwrap_or(&usual));
        if broken.is_empty() {
            continue;
        }
        let name = name_of(part, &broken);
        let may_pass = broken.iter().all(|refusal| refusal.rule != Rule::SchemaChanged);
        if may_pass {
            broken.iter_mut().for_each(|refusal| refusal.pass = Some(name));
        }
        let passes = may_pass && (pass.contains(&hash) || pass.contains(&name));
        weighed.push((at, broken, passes));
    }
    weighed
}

/// The name of a stopped part: of its writes, whatever the other mappings do meanwhile, and of the rules that a person
/// was shown. Another write or another reason is another name.
fn name_of(part: &MappingPlan, broken: &[Refusal]) -> Digest {
    let mut steps: Vec<&Step> = part.steps.iter().collect();
    steps.sort_by(|a, b| (a.side, a.action, &a.key, a.page).cmp(&(b.side, b.action, &b.key, b.page)));
    let rules: Vec<(Rule, Option<&str>)> =
        broken.iter().map(|refusal| (refusal.rule, by_what(refusal))).collect();
    Digest::of_json(&(&part.mapping, part.fingerprint, &rules, Unordered(&steps)))
}

/// Steps without their waves, which depend on the other mappings.
struct Unordered<'a>(&'a [&'a Step]);

impl Serialize for Unordered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|step| Step { wave: 0, ..(*step).clone() }))
    }
}

/// What the sentence of a refusal says beside numbers that time alone may change.
fn by_what(refusal: &Refusal) -> Option<&str> {
    (refusal.rule == Rule::OtherTable).then_some(refusal.text.as_str())
}

/// Every rule that a part breaks, the gravest first.
fn weigh(part: &MappingPlan, against: &Against) -> Vec<Refusal> {
    let mut weighing = Weighing { part, refusals: Vec::new() };
    weighing.identity(against);
    for side in [Side::Postgres, Side::Notion] {
        weighing.emptied(side, against);
        weighing.deletions(side, against);
        weighing.blanked(side, &against.limits);
        if against.recovering != Some(side) {
            weighing.remade(side, &against.limits);
        }
    }
    weighing.doubled(against);
    weighing.refusals
}

struct Weighing<'a> {
    part: &'a MappingPlan,
    refusals: Vec<Refusal>,
}

impl Weighing<'_> {
    fn refuse(&mut self, rule: Rule, seen: u64, limit: u64, text: String, advice: &str) {
        let (mapping, advice) = (self.part.mapping.clone(), advice.to_owned());
        self.refusals.push(Refusal { mapping, rule, seen, limit, text, advice, pass: None });
    }

    /// Whether it would write, or ask something that was not asked before.
    fn acts(&self, against: &Against) -> bool {
        !self.part.steps.is_empty() || self.part.conflicts.len() as u64 > against.asked
    }

    fn identity(&mut self, against: &Against) {
        if against.fingerprint.is_some_and(|now| now != self.part.fingerprint) {
            let text = "the mapping is no longer the one that the plan was made for".to_owned();
            let advice = "make a new plan with `pagerow plan`";
            self.refuse(Rule::SchemaChanged, 1, 0, text, advice);
        }
        if let (Some(replaced), true, None) = (&against.replaced, self.acts(against), against.recovering) {
            let Replaced { table, was, is } = replaced;
            let writes = self.part.steps.len() as u64;
            let text = format!(
                "{table} is another table than the one that was synced (number {is} in the catalogue, before {was}), \
                 and it would cause {writes} writes"
            );
            let advice = "if the new table is what pagerow should go by from now on, let this plan pass; if not, put the \
                          old table back under its name, or fill the new one";
            self.refuse(Rule::OtherTable, writes, 0, text, advice);
        }
        if against.hidden > 0 {
            let (hidden, links) = (against.hidden, self.part.census.links);
            let text = format!(
                "row level security has come to bind pagerow's role, and {hidden} of {links} linked rows are not seen: \
                 whether they were deleted or are hidden cannot be told"
            );
            let advice = "let the role see all rows (a policy for it, or BYPASSRLS); to go on with what it sees, let this \
                          plan pass: pages of rows that are not seen stay as they are";
            self.refuse(Rule::HiddenRows, hidden, 0, text, advice);
        }
    }

    /// One record that was deleted is a deletion, though its side is then empty; several at once, or a table that was
    /// emptied in one go, are not taken for truth.
    fn emptied(&mut self, side: Side, against: &Against) {
        let links = self.part.census.links;
        let removals = self.count(|step| step.side == side.other() && is_removal(step));
        // Where nobody counted, nothing left of what was linked is as much as nothing there.
        let is_empty = match self.part.census.records.of(side) {
            Some(records) => *records == 0,
            None => removals >= links,
        };
        let is_rebuilt = against.recovering == Some(side);
        if is_empty
            && !is_rebuilt
            && self.acts(against)
            && (links > 1 || (links == 1 && *against.emptied.of(side)))
        {
            let text = format!(
                "{side} holds no record, and {links} are linked; an emptied side is not taken for truth"
            );
            self.refuse(Rule::EmptySide, 0, links, text, lost(side));
        }
    }

    fn deletions(&mut self, side: Side, against: &Against) {
        let deletions = self.count(|step| step.side == side && is_removal(step));
        let lately = *against.lately.of(side);
        // What was deleted within the hour was linked at its beginning.
        let links = self.part.census.links.saturating_add(lately);
        let limit = match against.recovering {
            Some(_) => 0,
            None => share(links, against.limits.deletes, against.limits.floor),
        };
        let seen = deletions.saturating_add(lately);
        if deletions == 0 || seen <= limit {
            return;
        }
        let text = if lately == 0 {
            format!("{deletions} of {links} linked records would be deleted in {side}")
        } else {
            format!(
                "{deletions} more would be deleted in {side}, after {lately} within the last hour: {seen} of {links} \
                 linked records"
            )
        };
        self.refuse(Rule::MassDeletion, seen, limit, text, lost(side.other()));
    }

    fn blanked(&mut self, side: Side, limits: &Limits) {
        let links = self.part.census.links;
        let limit = share(links, limits.blanked, limits.floor);
        for (field, column) in self.part.columns.iter().enumerate() {
            let blanked = self.count(|step| step.side == side && blanks(step, field));
            if blanked > limit {
                let text =
                    format!("“{column}” would go blank in {blanked} of {links} linked records in {side}");
                let advice = match side {
                    Side::Notion => {
                        "if the column was emptied on purpose, let this plan pass; if not, fill it again: the pages \
                         still hold its values"
                    }
                    Side::Postgres => {
                        "if the property was emptied on purpose, let this plan pass; if not, fill it again: the rows \
                         still hold its values"
                    }
                };
                self.refuse(Rule::MassBlanking, blanked, limit, text, advice);
            }
        }
    }

    fn remade(&mut self, side: Side, limits: &Limits) {
        let links = self.part.census.links;
        let limit = share(links, limits.remade, limits.floor);
        let remade =
            self.count(|step| step.side == side && step.action == Action::Create && step.link.is_some());
        if remade > limit {
            let text = format!("{remade} of {links} linked records would be made anew in {side}");
            let advice = "if they were deleted there on purpose, delete them on the other side as well; if they are to \
                          come back, let this plan pass";
            self.refuse(Rule::MassRemaking, remade, limit, text, advice);
        }
    }

    fn doubled(&mut self, against: &Against) {
        let links = self.part.census.links;
        let limit = share(links, against.limits.remade, against.limits.floor);
        let alike = against.alike;
        if alike > limit {
            let text = format!("{alike} new records are equal to linked ones, of which there are {links}");
            let advice = "if the same data was put in twice, take the second copy out again; if they are meant to be \
                          records of their own, let this plan pass";
            self.refuse(Rule::MassDoubling, alike, limit, text, advice);
        }
    }

    fn count(&self, which: impl Fn(&Step) -> bool) -> u64 {
        self.part.steps.iter().filter(|step| which(step)).count() as u64
    }
}

/// What to do where records vanished from a side.
fn lost(side: Side) -> &'static str {
    match side {
        Side::Postgres => {
            "if the rows were deleted on purpose, let this plan pass; if they were lost, `pagerow recover from-notion` \
             brings them back from their pages, which still hold them"
        }
        Side::Notion => {
            "if the pages were deleted on purpose, let this plan pass; if they were lost, `pagerow recover to-notion` takes \
             them out of Notion's trash, or makes them again from the rows, which are still there"
        }
    }
}

fn is_removal(step: &Step) -> bool {
    matches!(step.action, Action::Trash | Action::Delete)
}

fn blanks(step: &Step, field: usize) -> bool {
    matches!(step.action, Action::Update | Action::Restore)
        && step.fields.iter().any(|write| {
            let was_filled = write.before.as_ref().is_some_and(|before| !before.is_empty());
            write.field == field && was_filled && write.after.is_empty()
        })
}

/// The largest count within a share. In millionths, since 29 % of 100 is 28.999… in a machine's fractions.
fn share(links: u64, share: f64, floor: u64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share between 0 and 1 in millionths is a small count"
    )]
    let millionths = (share * 1e6).round() as u64;
    let part = u128::from(links) * u128::from(millionths) / 1_000_000;
    u64::try_from(part).unwrap_or(u64::MAX).max(floor)
}
