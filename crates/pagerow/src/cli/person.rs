//! Who runs a command, as the system knows them: what is written down beside what they let pass.

/// The account's name, or its number where the system does not say the name.
pub(super) fn name() -> String {
    #[cfg(unix)]
    {
        let id = rustix::process::getuid().as_raw();
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        named(&accounts, id).unwrap_or_else(|| format!("account {id}"))
    }
    #[cfg(not(unix))]
    std::env::var("USERNAME").unwrap_or_else(|_| "somebody".to_owned())
}

#[cfg(unix)]
fn named(accounts: &str, id: u32) -> Option<String> {
    accounts.lines().find_map(|line| {
        let mut parts = line.split(':');
        let (name, number) = (parts.next()?, parts.nth(1)?);
        (number.parse() == Ok(id) && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_a_name_or_a_number() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nbroken\n";
        assert_eq!(named(accounts, 1000).as_deref(), Some("ada"));
        assert_eq!(named(accounts, 7), None);
        assert!(!name().is_empty());
    }
}
