//! What a process that holds a lease is called, so that another one on the same machine can tell whether it still runs.

use std::sync::OnceLock;

use pagerow_core::digest::Digest;
use uuid::Uuid;

/// This process's name: `process PID on MACHINE since START ID`, or less where the system does not say more.
pub(super) fn name(id: Uuid) -> String {
    let pid = std::process::id();
    match this_process() {
        Some((machine, start)) => format!("process {pid} on {machine} since {start} {id}"),
        None => format!("process {pid} {id}"),
    }
}

/// Who runs this process, for the history: `user@host`, as far as the system says.
pub(super) fn who() -> String {
    let named = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty());
    let user = named.or_else(user_number).unwrap_or_else(|| "somebody".to_owned());
    match host() {
        Some(host) => format!("{user}@{host}"),
        None => user,
    }
}

#[cfg(unix)]
fn user_number() -> Option<String> {
    Some(format!("user {}", rustix::process::getuid().as_raw()))
}

#[cfg(not(unix))]
fn user_number() -> Option<String> {
    None
}

#[cfg(unix)]
fn host() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(not(unix))]
fn host() -> Option<String> {
    std::env::var("COMPUTERNAME").ok()
}

/// Whether a holder certainly runs no more. Of other machines' processes nobody can tell.
pub(super) fn is_gone(holder: &str) -> bool {
    let words: Vec<&str> = holder.split(' ').collect();
    let ["process", pid, "on", machine_then, "since", start_then, _] = words.as_slice() else { return false };
    let (Ok(pid), Some((machine, own_start))) = (pid.parse(), this_process()) else { return false };
    // Numbers of processes are given again: only the same start is the same process.
    machine == machine_then
        && match pid == std::process::id() {
            true => own_start != start_then,
            false => match start_of(pid) {
                Some(start) => start.as_deref() != Some(*start_then),
                None => is_unused(pid),
            },
        }
}

/// The machine that this process runs on, and when it began: what does not change, and is asked for often.
fn this_process() -> Option<&'static (String, String)> {
    static KNOWN: OnceLock<Option<(String, String)>> = OnceLock::new();
    KNOWN.get_or_init(|| machine().zip(start_of(std::process::id()).flatten())).as_ref()
}

/// Whether no process has this number. `/proc` may hide other people's processes, which this question does not.
#[cfg(unix)]
fn is_unused(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn is_unused(_: u32) -> bool {
    false
}

/// A short name of this boot of this machine, as far as process numbers mean the same in it.
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let both = Digest::of(format!("{} {}", boot.trim(), numbers.display()).as_bytes()).to_string();
    Some(both.chars().take(12).collect())
}

/// When a process began, in the kernel's ticks: `None` when the system shows no such process, `Some(None)` when only its
/// remains are there.
fn start_of(pid: u32) -> Option<Option<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // Ended, and not yet collected by its parent.
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return Some(None);
    }
    fields.get(19).map(|start| Some((*start).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_certainly_dead_are_gone() {
        let living = name(Uuid::nil());
        assert!(!is_gone(&living), "{living}");
        assert!(!is_gone("process 1 0198"), "nobody knows");
        let Some(machine) = machine() else { return };
        assert!(is_gone(&format!("process 4194305 on {machine} since 1 x")), "no such number");
        assert!(is_gone(&format!("process {} on {machine} since 1 x", std::process::id())), "another start");
        assert!(!is_gone("process 4194305 on elsewhere since 1 x"));
    }

    #[test]
    fn an_ended_process_is_gone_before_anybody_collects_it() {
        let Some(machine) = machine() else { return };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_of(child.id()).unwrap().unwrap();
        let holder = format!("process {} on {machine} since {start} x", child.id());
        assert!(!is_gone(&holder));
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !is_gone(&holder) {
            assert!(std::time::Instant::now() < deadline, "it never ended");
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(is_gone(&holder));
    }
}
