//! What a scenario cost: time, calls, processor, memory.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// The figures of one scenario.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) records: u64,
    pub(crate) seconds: f64,
    /// Seconds that the rate limit alone would take.
    pub(crate) limit_seconds: Option<f64>,
    pub(crate) calls: Option<u64>,
    pub(crate) ideal_calls: Option<u64>,
    pub(crate) cpu_ms: f64,
    pub(crate) peak_mib: f64,
    /// Whether records per second are worth saying.
    pub(crate) throughput: bool,
}

impl Figures {
    /// The columns of the table.
    pub(crate) fn line(&self) -> String {
        let ratio = |part: Option<f64>, whole: Option<f64>| match (part, whole) {
            (Some(part), Some(whole)) if whole > 0.0 => format!("{:.3}", part / whole),
            _ => "-".to_owned(),
        };
        let count = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let calls = ratio(self.calls.map(|calls| calls as f64), self.ideal_calls.map(|calls| calls as f64));
        let speed = if self.throughput {
            format!("{:.0}", self.records as f64 / self.seconds)
        } else {
            "-".to_owned()
        };
        format!(
            "{:>8} {:>9.2} {:>9} {:>8} {:>8} {:>9} {:>8.0} {:>9.0}",
            self.records,
            self.seconds,
            ratio(Some(self.seconds), self.limit_seconds),
            count(self.calls),
            calls,
            speed,
            self.cpu_ms,
            self.peak_mib
        )
    }
}

/// A stopwatch for time, processor and memory of this process.
pub(crate) struct Watch {
    started: Instant,
    cpu_ms: f64,
}

impl Watch {
    pub(crate) fn start() -> Result<Self> {
        // "5" resets the peak of resident memory to what is resident now.
        std::fs::write("/proc/self/clear_refs", "5").context("resetting the memory peak")?;
        Ok(Self { started: Instant::now(), cpu_ms: cpu_ms()? })
    }

    pub(crate) fn stop(&self, figures: &mut Figures) -> Result<()> {
        figures.seconds = self.started.elapsed().as_secs_f64();
        figures.cpu_ms = cpu_ms()? - self.cpu_ms;
        figures.peak_mib = peak_mib()?;
        Ok(())
    }
}

/// Processor time of all threads of this process so far.
fn cpu_ms() -> Result<f64> {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(usage.tv_sec as f64 * 1_000.0 + usage.tv_nsec as f64 / 1_000_000.0)
}

fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kib / 1024.0)
}
