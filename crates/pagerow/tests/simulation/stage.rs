//! What all parts of one simulation share: virtual time, chance, what has happened, and the faults that are to come.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use pagerow::clock::{Clock, Source};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    dice::Dice,
    script::{Call, NetworkFault, StoreFault, What, Wish},
};

/// When every simulation begins: shortly before a minute ends, as times of pages are cut to minutes.
pub(crate) const START: i64 = 1_783_156_133_017;

/// One simulation's stage.
pub(crate) struct Stage {
    began: tokio::time::Instant,
    dice: Mutex<Dice>,
    trace: Mutex<Trace>,
    tally: Mutex<BTreeMap<&'static str, u64>>,
    misdeeds: Mutex<Vec<String>>,
    network: Mutex<VecDeque<NetworkFault>>,
    store: Mutex<VecDeque<StoreFault>>,
    /// What waits for a call.
    meanwhile: Mutex<Vec<Meanwhile>>,
    /// What has to happen now.
    now: (mpsc::UnboundedSender<What>, Mutex<Option<mpsc::UnboundedReceiver<What>>>),
    /// What somebody has said, and nobody has done yet.
    wishes: Mutex<VecDeque<Wish>>,
    /// Looks at everything that somebody has asked for.
    full_looks: AtomicU64,
    /// By how much the clocks of the database and of the machines that engines run on are wrong, in milliseconds.
    pub(crate) database_skew: AtomicI64,
    pub(crate) machine_skew: AtomicI64,
    /// Until when Notion cannot be reached.
    out_until: AtomicU64,
    ids: AtomicU64,
    deeds: AtomicU64,
    last_deed: AtomicU64,
}

/// How much is kept of what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Only how it ends.
    Nothing,
    /// A name of everything that happened, in order.
    Name,
    /// That, and all of it for a person to read.
    Lines,
}

/// What happens when so many calls of this kind have been answered.
struct Meanwhile {
    call: Call,
    left: u64,
    slow: u64,
    what: Vec<What>,
}

/// What happened, in order.
struct Trace {
    told: Told,
    hash: Sha256,
    lines: Vec<String>,
}

impl Stage {
    pub(crate) fn new(seed: u64, told: Told) -> Arc<Self> {
        let (now, happens) = mpsc::unbounded_channel();
        Arc::new(Self {
            began: tokio::time::Instant::now(),
            dice: Mutex::new(Dice::new(seed ^ 0x5157_4745)),
            trace: Mutex::new(Trace { told, hash: Sha256::new(), lines: Vec::new() }),
            tally: Mutex::default(),
            misdeeds: Mutex::default(),
            network: Mutex::default(),
            store: Mutex::default(),
            meanwhile: Mutex::default(),
            now: (now, Mutex::new(Some(happens))),
            wishes: Mutex::default(),
            full_looks: AtomicU64::new(0),
            database_skew: AtomicI64::new(0),
            machine_skew: AtomicI64::new(0),
            out_until: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            deeds: AtomicU64::new(0),
            last_deed: AtomicU64::new(0),
        })
    }

    // ---- Time ----

    /// Milliseconds since the beginning.
    pub(crate) fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The true time, which is Notion's.
    pub(crate) fn notion_now(&self) -> i64 {
        START + i64::try_from(self.elapsed()).unwrap_or(i64::MAX)
    }

    /// The time by the database's clock.
    pub(crate) fn database_now(&self) -> Timestamp {
        stamp(self.notion_now() + self.database_skew.load(Ordering::Relaxed))
    }

    /// What an engine reads its time and ids from.
    pub(crate) fn clock(self: &Arc<Self>) -> Clock {
        Clock::of(Machine(Arc::clone(self)))
    }

    /// The id that is made next.
    pub(crate) fn next_id(&self) -> Uuid {
        id(self.ids.load(Ordering::Relaxed))
    }

    /// Some time passes, drawn from this span of milliseconds.
    pub(crate) async fn pass(&self, low: u64, high: u64) {
        match self.between(low, high) {
            // Others may go first all the same, and whoever is to die can die here.
            0 => tokio::task::yield_now().await,
            span => tokio::time::sleep(Duration::from_millis(span)).await,
        }
    }

    // ---- Chance ----

    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        lock(&self.dice).between(low, high)
    }

    pub(crate) fn percent(&self, percent: u64) -> bool {
        lock(&self.dice).percent(percent)
    }

    // ---- What happened ----

    /// Notes something that belongs to the trace.
    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        let mut trace = lock(&self.trace);
        if trace.told == Told::Nothing {
            return;
        }
        let line = format!("{:>9.3} {}", self.elapsed() as f64 / 1000.0, line());
        trace.hash.update(line.as_bytes());
        trace.hash.update(b"\n");
        if trace.told == Told::Lines {
            trace.lines.push(line);
        }
    }

    /// Counts something that has to happen sometimes.
    pub(crate) fn count(&self, what: &'static str) {
        *lock(&self.tally).entry(what).or_default() += 1;
    }

    /// Somebody did something on one of the sides.
    pub(crate) fn note_deed(&self) {
        self.deeds.fetch_add(1, Ordering::Relaxed);
        self.last_deed.store(self.elapsed(), Ordering::Relaxed);
    }

    /// For how many milliseconds nobody has done anything.
    pub(crate) fn idle(&self) -> u64 {
        self.elapsed() - self.last_deed.load(Ordering::Relaxed)
    }

    /// How much people have done so far.
    pub(crate) fn deeds(&self) -> u64 {
        self.deeds.load(Ordering::Relaxed)
    }

    /// Notes something that must never happen.
    pub(crate) fn blame(&self, what: String) {
        self.tell(|| format!("!! {what}"));
        lock(&self.misdeeds).push(what);
    }

    pub(crate) fn misdeeds(&self) -> Vec<String> {
        lock(&self.misdeeds).clone()
    }

    pub(crate) fn tally(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.tally).clone()
    }

    /// The trace so far, as a short name, with its lines where they were kept.
    pub(crate) fn trace(&self) -> (String, Vec<String>) {
        let trace = lock(&self.trace);
        let hash = trace.hash.clone().finalize();
        let name = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        (name, trace.lines.clone())
    }

    // ---- Faults to come ----

    pub(crate) fn add_network_faults(&self, fault: &NetworkFault, calls: u64) {
        lock(&self.network).extend((0..calls).map(|_| fault.clone()));
    }

    pub(crate) fn add_store_faults(&self, fault: StoreFault, times: u64) {
        lock(&self.store).extend((0..times).map(|_| fault));
    }

    /// The fault for this call, if one waits that fits it.
    pub(crate) fn network_fault(&self, is_write: bool, is_question: bool) -> Option<NetworkFault> {
        let mut faults = lock(&self.network);
        let hits =
            |fault: &NetworkFault| (is_write || !fault.writes_only) && (is_question || !fault.questions_only);
        let at = faults.iter().position(hits)?;
        faults.remove(at)
    }

    /// The fault for this statement, if one waits that fits it.
    pub(crate) fn store_fault(&self, is_commit: bool) -> Option<StoreFault> {
        let mut faults = lock(&self.store);
        let at = faults.iter().position(|fault| is_commit == fault.hits_commit())?;
        faults.remove(at)
    }

    /// All this happens once Notion has answered so many calls of this kind and one more.
    pub(crate) fn add_meanwhile(&self, call: Call, left: u64, slow: u64, what: &[What]) {
        lock(&self.meanwhile).push(Meanwhile { call, left, slow, what: what.to_vec() });
    }

    /// Notion has answered a call of this kind: what waits for it happens, before the engine has the answer. Answers how
    /// many milliseconds more that takes.
    pub(crate) fn answered(&self, call: Call) -> Option<u64> {
        let mut slow = None;
        lock(&self.meanwhile).retain_mut(|waits| {
            if waits.call != call {
                return true;
            }
            if waits.left > 0 {
                waits.left -= 1;
                return true;
            }
            slow = slow.max(Some(waits.slow));
            for what in waits.what.drain(..) {
                // Once nobody is left to let it happen, all is quiet.
                let _quiet = self.now.0.send(what);
            }
            false
        });
        slow
    }

    /// Where everything comes from that has to happen at a call. Only the first one who asks gets it.
    pub(crate) fn happens(&self) -> Option<mpsc::UnboundedReceiver<What>> {
        lock(&self.now.1).take()
    }

    pub(crate) fn add_wish(&self, wish: Wish) {
        lock(&self.wishes).push_back(wish);
    }

    pub(crate) fn take_wish(&self) -> Option<Wish> {
        lock(&self.wishes).pop_front()
    }

    pub(crate) fn add_full_looks(&self, times: u64) {
        self.full_looks.fetch_add(times, Ordering::Relaxed);
    }

    /// Whether somebody has asked for this look to be one at everything.
    pub(crate) fn take_full_look(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.full_looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Notion cannot be reached for so many milliseconds.
    pub(crate) fn cut_off(&self, span: u64) {
        self.out_until.fetch_max(self.elapsed() + span, Ordering::Relaxed);
    }

    pub(crate) fn is_out(&self) -> bool {
        self.elapsed() < self.out_until.load(Ordering::Relaxed)
    }

    /// From here on nothing goes wrong any more.
    pub(crate) fn calm(&self) {
        self.out_until.store(0, Ordering::Relaxed);
        lock(&self.network).clear();
        lock(&self.store).clear();
        lock(&self.meanwhile).clear();
    }
}

/// A machine on which engines run.
struct Machine(Arc<Stage>);

impl Source for Machine {
    fn now(&self) -> Timestamp {
        stamp(self.0.notion_now() + self.0.machine_skew.load(Ordering::Relaxed))
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.0.elapsed()) + Duration::from_secs(3600)
    }

    fn new_id(&self) -> Uuid {
        id(self.0.ids.fetch_add(1, Ordering::Relaxed))
    }
}

fn id(number: u64) -> Uuid {
    Uuid::from_u64_pair(0x0198_0000_0000_7000, number | 1 << 63)
}

fn stamp(millis: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_millis(millis)).unwrap_or(Timestamp::MAX)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
