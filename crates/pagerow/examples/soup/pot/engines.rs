//! The processes under test: `pagerow sync` again and again, sometimes two at once, killed, stopped and put to sleep.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal};
use serde_json::Value as Json;
use tokio::{process::Child, sync::Mutex};

use super::{Summary, chance::Chance, stage::Stage};

/// No sync of the soup takes as long: one that does hangs.
const PATIENCE: Duration = Duration::from_secs(240);
/// Beyond a lease's term of a minute.
const LONG_SLEEP: Duration = Duration::from_secs(75);

/// What is done to a process.
#[derive(Clone, Copy, Debug)]
enum Destiny {
    /// It ends by itself.
    Live,
    Kill(Duration),
    /// SIGTERM.
    Stop(Duration),
    /// SIGSTOP after the first time, SIGCONT after the second.
    Sleep(Duration, Duration),
}

pub(crate) struct Engines {
    stage: Arc<Stage>,
    chance: Mutex<Chance>,
    long_sleeps: bool,
    number: AtomicU64,
    figures: Mutex<BTreeMap<String, u64>>,
    /// What the guard stopped last: somebody looks at it, and it is what they meant.
    consent: Mutex<Vec<String>>,
    /// What must not happen to any process.
    outrages: Mutex<Vec<String>>,
}

/// How a process ended.
pub(crate) struct Ended {
    /// `None`: by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Engines {
    pub(crate) fn new(stage: Arc<Stage>, chance: Chance, long_sleeps: bool) -> Self {
        Self {
            stage,
            chance: Mutex::new(chance),
            long_sleeps,
            number: AtomicU64::new(1),
            figures: Mutex::default(),
            consent: Mutex::default(),
            outrages: Mutex::default(),
        }
    }

    /// Two loops of syncs, the second of which is there only now and then.
    pub(crate) async fn run(self, over: &AtomicBool) -> Result<Self> {
        let first = async {
            while !over.load(Ordering::Relaxed) {
                let destiny = self.draw().await;
                self.one(destiny).await?;
            }
            anyhow::Ok(())
        };
        let second = async {
            while !over.load(Ordering::Relaxed) {
                let pause = self.chance.lock().await.between(500, 8_000);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let destiny = self.draw().await;
                self.one(destiny).await?;
            }
            anyhow::Ok(())
        };
        let sleeper = async {
            while self.long_sleeps && !over.load(Ordering::Relaxed) {
                let before = Duration::from_millis(self.chance.lock().await.between(200, 2_500));
                self.one(Destiny::Sleep(before, LONG_SLEEP)).await?;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(first, second, sleeper)?;
        Ok(self)
    }

    async fn draw(&self) -> Destiny {
        let mut chance = self.chance.lock().await;
        let mut after = |most| Duration::from_millis(chance.between(1, most));
        let (soon, later, nap) = (after(1_500), after(6_000), after(3_000));
        match chance.below(100) {
            0..30 => Destiny::Live,
            30..50 => Destiny::Kill(soon),
            50..80 => Destiny::Kill(later),
            80..90 => Destiny::Stop(later),
            _ => Destiny::Sleep(later, nap),
        }
    }

    async fn one(&self, destiny: Destiny) -> Result<()> {
        let full = self.chance.lock().await.percent(8);
        let arguments = self.sync(full).await;
        let (mut child, files) = self.start(&arguments)?;
        let began = Instant::now();
        match destiny {
            Destiny::Live => {}
            Destiny::Kill(after) | Destiny::Stop(after) | Destiny::Sleep(after, _) => {
                // It may well have ended by then.
                let _ended = tokio::time::timeout(after, child.wait()).await;
            }
        }
        let what = if child.try_wait()?.is_some() {
            "ran to its end"
        } else {
            match destiny {
                Destiny::Live => "ran to its end",
                Destiny::Kill(_) => {
                    signal(&child, Signal::KILL)?;
                    "killed by SIGKILL"
                }
                Destiny::Stop(_) => {
                    signal(&child, Signal::TERM)?;
                    "asked to stop by SIGTERM"
                }
                Destiny::Sleep(_, nap) => {
                    signal(&child, Signal::STOP)?;
                    tokio::time::sleep(nap).await;
                    signal(&child, Signal::CONT)?;
                    if nap > Duration::from_secs(60) { "slept beyond its lease" } else { "slept for a while" }
                }
            }
        };
        let ended = self.end(child, files).await?;
        let mut figures = self.figures.lock().await;
        *figures.entry(format!("syncs: {what}")).or_default() += 1;
        let answer = describe(&ended);
        *figures.entry(format!("syncs: answered {answer}")).or_default() += 1;
        drop(figures);
        if ended.code.is_some_and(|code| !(0..=3).contains(&code)) || ended.stderr.contains("panicked") {
            self.outrages.lock().await.push(format!(
                "a sync ended with {:?} after {:?}: {}",
                ended.code,
                began.elapsed(),
                ended.stderr
            ));
        }
        Ok(())
    }

    /// The command for a sync, which lets pass what the guard stopped before.
    pub(crate) async fn sync(&self, full: bool) -> Vec<String> {
        let mut arguments = vec!["sync".to_owned(), "--json".to_owned()];
        arguments.extend(full.then(|| "--full".to_owned()));
        let consent = std::mem::take(&mut *self.consent.lock().await);
        arguments.extend(consent.into_iter().map(|hash| format!("--override={hash}")));
        arguments
    }

    /// Runs `pagerow` to its end, in peace.
    pub(crate) async fn calmly(&self, arguments: &[String]) -> Result<Ended> {
        let (child, files) = self.start(arguments)?;
        self.end(child, files).await
    }

    pub(crate) fn tell(&mut self, summary: &mut Summary) {
        summary.figures.append(self.figures.get_mut());
        summary.violations.append(self.outrages.get_mut());
    }

    fn start(&self, arguments: &[String]) -> Result<(Child, [PathBuf; 2])> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let files = ["out", "err"].map(|kind| self.stage.file(&format!("process-{number}.{kind}")));
        let mut command = self.stage.pagerow(arguments);
        command.stdout(std::fs::File::create(&files[0])?).stderr(std::fs::File::create(&files[1])?);
        command.stdin(Stdio::null());
        Ok((command.spawn()?, files))
    }

    async fn end(&self, mut child: Child, files: [PathBuf; 2]) -> Result<Ended> {
        let status = match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(status) => Some(status?),
            Err(_) => {
                let said = std::fs::read_to_string(&files[1])?;
                self.outrages.lock().await.push(format!("a sync hung for {PATIENCE:?}: {said}"));
                child.kill().await?;
                None
            }
        };
        let [stdout, stderr] = files.map(|file| {
            let text = std::fs::read(&file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            // Said and read; thousands of them would only fill the folder.
            drop(std::fs::remove_file(&file));
            text.unwrap_or_default()
        });
        let ended = Ended { code: status.and_then(|status| status.code()), stdout, stderr };
        let stopped = error(&ended)["overrides"].as_array().cloned().unwrap_or_default();
        if !stopped.is_empty() {
            let hashes = stopped.iter().filter_map(Json::as_str).map(str::to_owned);
            *self.consent.lock().await = hashes.collect();
        }
        Ok(ended)
    }
}

/// What a process said was wrong.
fn error(ended: &Ended) -> Json {
    let said: Json = serde_json::from_str(ended.stderr.lines().last().unwrap_or_default())
        .or_else(|_| serde_json::from_str(&ended.stderr))
        .unwrap_or_default();
    said["error"].clone()
}

/// How a process ended, in few words.
pub(crate) fn describe(ended: &Ended) -> String {
    match ended.code {
        None => "nothing".to_owned(),
        Some(0) => "0: nothing left to do".to_owned(),
        Some(3) if ended.stderr.is_empty() => "3: decisions are waiting".to_owned(),
        Some(code) => {
            let error = error(ended);
            let of = |name: &str| error[name].as_str().unwrap_or("-").to_owned();
            let sqlstate = error["sqlstate"].as_str().map(|state| format!(" {state}")).unwrap_or_default();
            format!("{code}: {} {}{sqlstate}", of("kind"), of("code"))
        }
    }
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let Some(id) = child.id() else { return Ok(()) };
    let pid = Pid::from_raw(i32::try_from(id)?).context("no process id")?;
    Ok(rustix::process::kill_process(pid, signal)?)
}
