//! By what name a process holds a lease, and whether the process of such a name is certainly gone.

use uuid::Uuid;

/// This process's name. People see it; another process on the same machine can tell from it who is meant.
pub(super) fn name(id: Uuid) -> String {
    name_of(std::process::id(), id)
}

/// Whether the process of this name certainly runs no more. `false` when that cannot be told from here: it runs on
/// another machine, in another container, or the system gives no answer.
pub(super) fn is_gone(name: &str) -> bool {
    let mut parts = name.split(", ");
    let pid = parts.next().and_then(|part| part.strip_prefix("process ")?.parse().ok());
    let (Some(pid), Some(place)) = (pid, parts.next()) else { return false };
    let Some((home, start)) = place.rsplit_once('.') else { return false };
    system::home().is_some_and(|here| here == home) && system::is_gone(pid, start)
}

fn name_of(pid: u32, id: Uuid) -> String {
    let place = system::home().zip(system::start(pid));
    let place = place.map_or_else(|| "somewhere".to_owned(), |(home, start)| format!("{home}.{start}"));
    format!("process {pid}, {place}, {id}")
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;

    use rustix::{
        io::Errno,
        process::{Pid, test_kill_process},
    };

    /// Where a process number means something: this start of this machine, and this container.
    pub(super) fn home() -> Option<String> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let space = fs::read_link("/proc/self/ns/pid").ok()?;
        let digits: String = space.to_str()?.chars().filter(char::is_ascii_digit).collect();
        Some(format!("{}.{digits}", boot.trim()))
    }

    /// When a process started, in ticks since the machine did: numbers are given to new processes again.
    pub(super) fn start(pid: u32) -> Option<String> {
        stat(pid).map(|(_, start)| start)
    }

    pub(super) fn is_gone(pid: u32, start: &str) -> bool {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
        // The system may hide other people's processes from the file system, but not from this question.
        match test_kill_process(number) {
            Err(Errno::SRCH) => true,
            Ok(()) | Err(_) => stat(pid).is_some_and(|(state, now)| now != start || state == "Z"),
        }
    }

    /// State and start.
    fn stat(pid: u32) -> Option<(String, String)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name stands in brackets and may hold anything.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        Some((fields.next()?.to_owned(), fields.nth(18)?.to_owned()))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    /// Nothing tells one start of the machine, or one container, from another.
    pub(super) fn home() -> Option<String> {
        None
    }

    pub(super) fn start(_: u32) -> Option<String> {
        None
    }

    pub(super) fn is_gone(_: u32, _: &str) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_has_ended_is_gone() {
        assert!(!is_gone(&name(Uuid::nil())));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let name = name_of(child.id(), Uuid::nil());
        assert!(!is_gone(&name), "{name}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&name), "{name}");
    }

    #[test]
    fn a_number_that_was_given_again_is_another_process() {
        let home = system::home().unwrap();
        assert!(is_gone(&format!("process {}, {home}.1, x", std::process::id())));
    }

    #[test]
    fn of_another_place_nothing_is_known() {
        assert!(!is_gone("process 999999999, 5c6a2821.4026531836.77, x"));
        assert!(!is_gone("process 999999999, somewhere, x"));
        assert!(!is_gone("process 999999999 x"));
        assert!(!is_gone("somebody"));
    }
}
