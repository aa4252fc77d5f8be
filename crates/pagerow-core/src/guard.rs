//! The check that turns a plan into an approved plan, or refuses it with numbers.

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    plan::{Action, MappingPlan, Plan, Step},
    side::Side,
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

/// Why a plan is refused.
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
    /// The plan's hash; naming it lets this one plan pass.
    #[serde(rename = "override")]
    pub pass: Digest,
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Too many deletions on one side.
    MassDeletion,
    /// A side that had records has none.
    EmptySide,
    /// One field goes blank in too many records.
    MassBlanking,
    /// Too many linked records are made anew.
    MassRemaking,
}

impl Rule {
    /// The word in JSON and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MassDeletion => "mass_deletion",
            Self::EmptySide => "empty_side",
            Self::MassBlanking => "mass_blanking",
            Self::MassRemaking => "mass_remaking",
        }
    }
}

/// A plan that may be carried out. Only [`check`] makes one.
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

/// Weighs a plan. `limits` are by the plan's mappings, in order; `pass` names the one plan that a person lets through.
///
/// # Errors
/// [`Refused`], with every rule that is broken.
pub fn check(plan: Plan, limits: &[Limits], pass: Option<Digest>) -> Result<Approved, Box<Refused>> {
    let hash = plan.hash();
    let default = Limits::default();
    let refusals: Vec<Refusal> = plan
        .mappings
        .iter()
        .enumerate()
        .flat_map(|(at, mapping)| weigh(mapping, limits.get(at).unwrap_or(&default), hash))
        .collect();
    if refusals.is_empty() || pass == Some(hash) {
        Ok(Approved { plan, hash, overridden: refusals })
    } else {
        Err(Box::new(Refused { plan, refusals }))
    }
}

fn weigh(part: &MappingPlan, limits: &Limits, hash: Digest) -> Vec<Refusal> {
    let links = part.census.links;
    let mut refusals = Vec::new();
    let mut refuse = |rule, seen, limit, text: String| {
        refusals.push(Refusal { mapping: part.mapping.clone(), rule, seen, limit, text, pass: hash });
    };
    for side in [Side::Postgres, Side::Notion] {
        let deletions = count(part, |step| step.side == side && is_removal(step));
        let limit = share(links, limits.deletes, limits.floor);
        if deletions > limit {
            let text = format!("{deletions} of {links} linked records would be deleted in {side}");
            refuse(Rule::MassDeletion, deletions, limit, text);
        }
        let acts = !part.steps.is_empty() || !part.conflicts.is_empty();
        if links > 0 && acts && *part.census.records.of(side) == Some(0) {
            let text = format!(
                "{side} holds no record, and {links} are linked; an emptied side is not taken for truth"
            );
            refuse(Rule::EmptySide, 0, links, text);
        }
        for (field, column) in part.columns.iter().enumerate() {
            let blanked = count(part, |step| step.side == side && blanks(step, field));
            let limit = share(links, limits.blanked, limits.floor);
            if blanked > limit {
                let text =
                    format!("“{column}” would go blank in {blanked} of {links} linked records in {side}");
                refuse(Rule::MassBlanking, blanked, limit, text);
            }
        }
        let remade =
            count(part, |step| step.side == side && step.action == Action::Create && step.link.is_some());
        let limit = share(links, limits.remade, limits.floor);
        if remade > limit {
            let text = format!("{remade} of {links} linked records would be made anew in {side}");
            refuse(Rule::MassRemaking, remade, limit, text);
        }
    }
    refusals
}

fn count(part: &MappingPlan, which: impl Fn(&Step) -> bool) -> u64 {
    part.steps.iter().filter(|step| which(step)).count() as u64
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
