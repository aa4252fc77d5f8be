//! In which order can rows be written so that what they refer to is there already?

use std::collections::BTreeMap;

use super::Table;

/// Tables with those they refer to before them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order {
    /// Every table once.
    pub tables: Vec<u32>,
    /// Tables that refer to each other in a circle, or to themselves: their rows take two passes. Beside each other
    /// in `tables`.
    pub cycles: Vec<Vec<u32>>,
}

/// Orders tables by their foreign keys; references to tables that are not among them do not count. Where the
/// foreign keys leave a choice, the given order decides.
pub fn order(tables: &[&Table]) -> Order {
    let places: BTreeMap<u32, usize> =
        tables.iter().enumerate().map(|(place, table)| (table.oid, place)).collect();
    let targets: Vec<Vec<usize>> = tables
        .iter()
        .map(|table| {
            let mut targets: Vec<_> =
                table.foreign_keys.iter().filter_map(|key| places.get(&key.target).copied()).collect();
            targets.sort_unstable();
            targets.dedup();
            targets
        })
        .collect();
    let mut found = Order::default();
    for mut group in groups(&targets) {
        group.sort_unstable();
        let oids: Vec<_> = group.iter().map(|place| tables[*place].oid).collect();
        found.tables.extend(&oids);
        if group.len() > 1 || targets[group[0]].contains(&group[0]) {
            found.cycles.push(oids);
        }
    }
    found
}

/// The strongly connected groups, each after those it points to (Tarjan's algorithm, without recursion).
fn groups(targets: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let mut number = vec![UNSEEN; targets.len()];
    let mut lowest = vec![UNSEEN; targets.len()];
    let mut open = Vec::new();
    let mut is_open = vec![false; targets.len()];
    let mut groups = Vec::new();
    let mut next = 0;
    for start in 0..targets.len() {
        if number[start] != UNSEEN {
            continue;
        }
        // Each entry: a place, and how many of its targets have been followed.
        let mut path = vec![(start, 0)];
        while let Some((place, followed)) = path.pop() {
            if followed == 0 {
                (number[place], lowest[place]) = (next, next);
                next += 1;
                open.push(place);
                is_open[place] = true;
            } else {
                // Coming back from a target.
                lowest[place] = lowest[place].min(lowest[targets[place][followed - 1]]);
            }
            let mut descended = false;
            for (index, target) in targets[place].iter().enumerate().skip(followed) {
                if number[*target] == UNSEEN {
                    path.push((place, index + 1));
                    path.push((*target, 0));
                    descended = true;
                    break;
                }
                if is_open[*target] {
                    lowest[place] = lowest[place].min(number[*target]);
                }
            }
            if descended || lowest[place] != number[place] {
                continue;
            }
            let begin = open.iter().rposition(|other| *other == place).unwrap_or(0);
            let group = open.split_off(begin);
            for member in &group {
                is_open[*member] = false;
            }
            groups.push(group);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{refers, table};
    use super::*;

    /// Tables numbered from 0, where table `from` refers to table `to`.
    fn tables(count: u32, references: &[(u32, u32)]) -> Vec<Table> {
        let bare: Vec<_> = (0..count).map(|oid| table(oid, &format!("t{oid}"), &["id"])).collect();
        let mut tables = bare.clone();
        for (from, to) in references {
            tables[*from as usize].foreign_keys.push(refers(&["id"], &bare[*to as usize]));
        }
        tables
    }

    fn ordered(count: u32, references: &[(u32, u32)]) -> Order {
        order(&tables(count, references).iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let found = ordered(4, &[(0, 2), (2, 3), (1, 3)]);
        assert_eq!(found, Order { tables: vec![3, 2, 0, 1], cycles: vec![] });
    }

    #[test]
    fn circles_and_self_references_are_reported() {
        let found = ordered(5, &[(0, 1), (1, 2), (2, 1), (3, 3), (2, 4)]);
        assert_eq!(found, Order { tables: vec![4, 1, 2, 0, 3], cycles: vec![vec![1, 2], vec![3]] });
    }

    #[test]
    fn references_to_tables_that_are_not_asked_for_do_not_count() {
        let all = tables(3, &[(0, 1), (1, 2), (2, 0)]);
        assert_eq!(order(&[&all[0], &all[1]]), Order { tables: vec![1, 0], cycles: vec![] });
    }

    #[test]
    fn a_long_chain_is_no_trouble() {
        let chain: Vec<_> = (0..20_000).map(|place| (place, place + 1)).collect();
        let found = ordered(20_001, &chain);
        assert_eq!(found.tables.first(), Some(&20_000));
        assert_eq!(found.tables.len(), 20_001);
    }

    proptest! {
        #[test]
        fn every_table_comes_once_and_after_its_targets_outside_its_circle(
            references in proptest::collection::vec((0_u32..8, 0_u32..8), 0..20)
        ) {
            let found = ordered(8, &references);
            let mut all = found.tables.clone();
            all.sort_unstable();
            prop_assert_eq!(all, (0..8).collect::<Vec<_>>());
            let place = |oid| found.tables.iter().position(|other| *other == oid).unwrap();
            let reaches = reachable(&references);
            for (from, to) in &references {
                let circle = reaches[*to as usize][*from as usize];
                let reported = found.cycles.iter().any(|cycle| cycle.contains(from) && cycle.contains(to));
                prop_assert_eq!(circle, reported);
                if !circle {
                    prop_assert!(place(*to) < place(*from));
                }
            }
        }
    }

    fn reachable(references: &[(u32, u32)]) -> Vec<Vec<bool>> {
        let mut reaches: Vec<Vec<bool>> =
            (0..8).map(|place| (0..8).map(|other| other == place).collect()).collect();
        for _ in 0..8 {
            for (from, to) in references {
                for row in &mut reaches {
                    row[*to as usize] |= row[*from as usize];
                }
            }
        }
        reaches
    }
}
