//! Which valid name did somebody most likely mean?

/// The nearest of `names`, when one is near enough to be meant.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    names
        .into_iter()
        .map(|candidate| (score(&wanted, &plain(candidate)), candidate))
        .filter(|(score, _)| *score >= 0.72)
        // The first of several equally near ones.
        .fold(None, |best: Option<(f64, &str)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        })
        .map(|(_, candidate)| candidate)
}

fn score(wanted: &str, candidate: &str) -> f64 {
    if wanted == candidate {
        return 1.0;
    }
    let near = strsim::jaro_winkler(wanted, candidate);
    let edits = strsim::normalized_damerau_levenshtein(wanted, candidate);
    let within =
        wanted.len().min(candidate.len()) >= 4 && (wanted.contains(candidate) || candidate.contains(wanted));
    let mixed = f64::midpoint(near, edits);
    if within { mixed.max(0.8) } else { mixed }
}

/// Letters and digits in lower case, since people swap cases, spaces, dashes and underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_understood() {
        let names = ["direction", "on_conflict", "interval", "sweep_interval", "table", "data_source"];
        for (slip, meant) in [
            ("directon", Some("direction")),
            ("onConflict", Some("on_conflict")),
            ("intervall", Some("interval")),
            ("tabel", Some("table")),
            ("datasource", Some("data_source")),
            ("sweep", Some("sweep_interval")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(slip, names), meant, "{slip}");
        }
    }
}
