//! In which order are mappings written, so that what a record refers to is there before it?

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::mapping::ColumnKind;

use super::{Found, Resolved};

/// Places in order, and the circles among them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub order: Vec<usize>,
    pub cycles: Vec<Vec<String>>,
}

/// Referenced mappings first, else as in the file.
pub(super) fn order(mappings: &[Resolved], found: &Found) -> Order {
    let place: BTreeMap<&str, usize> =
        mappings.iter().enumerate().map(|(at, one)| (one.mapping.name.as_str(), at)).collect();
    let needs: Vec<BTreeSet<usize>> = mappings
        .iter()
        .map(|one| {
            let related = one.mapping.fields.iter().filter_map(|field| match &field.holds {
                ColumnKind::Reference { mapping } => place.get(mapping.as_str()).copied(),
                // Rows of a join table are written after both sides, whatever the order.
                _ => None,
            });
            let info = found
                .tables
                .iter()
                .find(|info| info.schema == one.table.schema && info.name == one.table.name);
            let foreign = info.into_iter().flat_map(|info| &info.foreign_keys).flat_map(|key| {
                mappings
                    .iter()
                    .enumerate()
                    .filter(|(_, other)| {
                        other.table.schema == key.target_schema && other.table.name == key.target_table
                    })
                    .map(|(at, _)| at)
            });
            related.chain(foreign).collect()
        })
        .collect();
    let names: Vec<&str> = mappings.iter().map(|one| one.mapping.name.as_str()).collect();
    sorted(&names, &needs)
}

/// Takes what needs nothing more, in the file's order; where only circles are left, the first of the smallest one.
fn sorted(names: &[&str], needs: &[BTreeSet<usize>]) -> Order {
    let mut result = Order::default();
    let mut left: BTreeSet<usize> = (0..names.len()).collect();
    for (at, own) in needs.iter().enumerate() {
        if own.contains(&at) {
            result.cycles.push(vec![names[at].to_owned()]);
        }
    }
    while !left.is_empty() {
        let open = |at: usize| needs[at].iter().filter(|need| **need != at && left.contains(need)).count();
        if let Some(ready) = left.iter().copied().find(|at| open(*at) == 0) {
            left.remove(&ready);
            result.order.push(ready);
            continue;
        }
        // Everything left leads into a circle: the first member whose reach comes back to it.
        let circle = left
            .iter()
            .map(|at| (*at, members(*at, needs, &left)))
            .find(|(at, members)| members.contains(at));
        let Some((first, members)) = circle else { break };
        result.cycles.push(members.iter().map(|at| names[*at].to_owned()).collect());
        left.remove(&first);
        result.order.push(first);
    }
    result
}

/// What is in one circle with a place: what it reaches and what reaches it.
fn members(from: usize, needs: &[BTreeSet<usize>], left: &BTreeSet<usize>) -> BTreeSet<usize> {
    let reach = |start: usize| {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for next in needs[at].iter().filter(|next| left.contains(next) && **next != at) {
                if reached.insert(*next) {
                    open.push(*next);
                }
            }
        }
        reached
    };
    reach(from).into_iter().filter(|other| reach(*other).contains(&from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_come_first_and_circles_are_named() {
        let names = ["orders", "customers", "a", "b", "self"];
        let needs = [
            BTreeSet::from([1]),
            BTreeSet::new(),
            BTreeSet::from([3]),
            BTreeSet::from([2]),
            BTreeSet::from([4]),
        ];
        let result = sorted(&names, &needs);
        assert_eq!(result.order, [1, 0, 4, 2, 3]);
        assert_eq!(result.cycles, [vec!["self".to_owned()], vec!["a".to_owned(), "b".to_owned()]]);
    }

    #[test]
    fn what_leads_into_a_circle_comes_after_it() {
        let names = ["leaf", "a", "b"];
        let needs = [BTreeSet::from([1]), BTreeSet::from([2]), BTreeSet::from([1])];
        assert_eq!(
            sorted(&names, &needs).order,
            [1, 0, 2].map(|x| x),
            "a is free once it is taken out of the circle"
        );
    }
}
