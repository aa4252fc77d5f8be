//! Is a table nothing but the links between two others?

use super::{ForeignKey, Table, TableKind};

/// The two ends of a join table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinTable<'a> {
    pub table: &'a Table,
    /// In the order of the key's columns.
    pub ends: [&'a ForeignKey; 2],
}

/// Tells a join table: a key or unique set of required columns consists of exactly two foreign keys, and a row needs
/// nothing else. It may have more columns, as long as a row can do without a value for them.
pub fn join_table(table: &Table) -> Option<JoinTable<'_>> {
    if !matches!(table.kind, TableKind::Table | TableKind::Partitioned) {
        return None;
    }
    let key = table.key.iter().filter(|key| key.primary).map(|key| &key.columns);
    key.chain(table.unique.iter().map(|unique| &unique.columns)).find_map(|columns| {
        let others = table.columns.iter().filter(|column| !columns.contains(&column.name));
        let required = columns.iter().all(|name| table.column(name).is_some_and(|column| column.not_null));
        if !required || others.into_iter().any(super::Column::required) {
            return None;
        }
        Some(JoinTable { table, ends: ends(table, columns)? })
    })
}

impl JoinTable<'_> {
    /// Columns beside the two ends; their values are lost when a link is taken away and made again.
    pub fn more_columns(&self) -> Vec<&str> {
        let of_an_end = |name: &String| self.ends.iter().any(|end| end.columns.contains(name));
        let names = self.table.columns.iter().map(|column| &column.name);
        names.filter(|name| !of_an_end(name)).map(String::as_str).collect()
    }
}

/// The two foreign keys that cover these columns without sharing any.
fn ends<'a>(table: &'a Table, columns: &[String]) -> Option<[&'a ForeignKey; 2]> {
    let keys: Vec<_> = table
        .foreign_keys
        .iter()
        .filter(|key| key.columns.iter().all(|name| columns.contains(name)))
        .collect();
    for (place, first) in keys.iter().enumerate() {
        for second in &keys[place + 1..] {
            let shared = first.columns.iter().any(|name| second.columns.contains(name));
            if shared || first.columns.len() + second.columns.len() != columns.len() {
                continue;
            }
            return Some(if first.columns.contains(&columns[0]) { [first, second] } else { [second, first] });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::{refers, table};
    use super::super::{Key, Unique};
    use super::*;

    fn links() -> Table {
        let (song, list) = (table(1, "song", &["id"]), table(2, "list", &["id"]));
        let mut links = table(3, "links", &["song", "list"]);
        links.foreign_keys = vec![refers(&["list"], &list), refers(&["song"], &song)];
        links.key = key(&["song", "list"]);
        links
    }

    fn key(columns: &[&str]) -> Option<Key> {
        let columns = columns.iter().map(ToString::to_string).collect();
        Some(Key { columns, primary: true, name: "key".to_owned() })
    }

    #[test]
    fn a_key_of_two_foreign_keys_makes_a_join_table() {
        let links = links();
        let found = join_table(&links).unwrap();
        assert_eq!(found.ends.map(|end| end.target_table.as_str()), ["song", "list"]);
        assert_eq!(found.more_columns(), [""; 0]);
    }

    #[test]
    fn a_key_of_its_own_does_no_harm_when_it_is_filled_by_itself() {
        let mut links = links();
        let mut id = table(9, "", &["id"]).columns.remove(0);
        id.has_default = true;
        links.columns.push(id);
        links.key = key(&["id"]);
        assert_eq!(join_table(&links), None);
        links.unique =
            vec![Unique { name: "both".to_owned(), columns: vec!["list".to_owned(), "song".to_owned()] }];
        let found = join_table(&links).unwrap();
        assert_eq!(found.ends.map(|end| end.target_table.as_str()), ["list", "song"]);
        assert_eq!(found.more_columns(), ["id"]);
    }

    #[test]
    fn a_required_column_beside_the_ends_makes_it_a_table_of_its_own() {
        let mut links = links();
        links.columns.push(table(9, "", &["price"]).columns.remove(0));
        assert_eq!(join_table(&links), None);
        links.columns[2].not_null = false;
        assert!(join_table(&links).is_some());
    }

    #[test]
    fn one_foreign_key_or_three_columns_make_none() {
        let mut one = links();
        one.foreign_keys.pop();
        assert_eq!(join_table(&one), None);
        let mut three = links();
        three.columns.push(table(9, "", &["day"]).columns.remove(0));
        three.key = key(&["song", "list", "day"]);
        assert_eq!(join_table(&three), None);
    }
}
