//! Playing a script: first everything that happens, then quiet, then the questions that have to be answered well.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use pagerow::engine::Depth;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    cast::Cast,
    end,
    process::{Failure, Fate, keep_running, run},
    script::{RowDeed, Script, What},
    stage::Told,
};

/// What came of a simulation.
pub(crate) struct Played {
    /// What should have been otherwise.
    pub(crate) violations: Vec<String>,
    /// The name of everything that happened.
    pub(crate) trace: String,
    /// The same to read. Both only where that was asked for.
    pub(crate) lines: Vec<String>,
    pub(crate) tally: BTreeMap<&'static str, u64>,
}

/// Rounds in which everything has to become quiet.
const ROUNDS: usize = 60;

/// Plays a script from its beginning to its end.
pub(crate) fn play(script: &Script, told: Told) -> Played {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // The engine's future need not be able to move between threads.
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let cast = Cast::new(script, told);
        let mut violations = match act(&cast, script).await {
            Quiet::Reached => end::violations(&cast, script).await,
            Quiet::CannotBeRead => Vec::new(),
            Quiet::Never(why) => vec![format!("it did not become quiet in {ROUNDS} rounds: {why}")],
        };
        violations.extend(cast.stage.misdeeds());
        let (trace, lines) = cast.stage.trace();
        Played { violations, trace, lines, tally: cast.stage.tally() }
    })
}

/// Both phases.
async fn act(cast: &Cast, script: &Script) -> Quiet {
    for number in 0..script.world.rows {
        for table in 0..cast.mappings.len() as u64 {
            cast.do_to_row(&RowDeed::Insert { table, value: number * 31 + table }).await;
        }
    }
    (0..cast.mappings.len()).for_each(|at| cast.make_old_pages(at, &script.world));
    let began = tokio::time::Instant::now();
    let hand = Rc::new(Hand { cast: cast.clone(), fate: Arc::default(), seconds: RefCell::default() });
    let process = tokio::task::spawn_local(keep_running(cast.clone(), Arc::clone(&hand.fate)));
    let at_calls = cast.stage.happens().map(|mut happens| {
        let hand = Rc::clone(&hand);
        tokio::task::spawn_local(async move {
            while let Some(what) = happens.recv().await {
                hand.do_it(&what);
            }
        })
    });
    for event in &script.events {
        tokio::time::sleep_until(began + Duration::from_millis(event.at)).await;
        hand.do_it(&event.what);
    }
    tokio::time::sleep_until(began + Duration::from_millis(script.quiet_at)).await;
    process.abort();
    at_calls.iter().for_each(tokio::task::JoinHandle::abort);
    hand.seconds.borrow_mut().abort_all();
    cast.stage.calm();
    cast.stage.tell(|| "from here on all is quiet".to_owned());
    cast.stage.database_skew.store(0, Ordering::Relaxed);
    cast.stage.machine_skew.store(0, Ordering::Relaxed);
    // What is still on its way arrives, and people finish what they have begun.
    tokio::time::sleep(Duration::from_secs(250)).await;
    become_quiet(cast, script).await
}

/// Who lets things happen.
struct Hand {
    cast: Cast,
    /// The first engine's.
    fate: Arc<Fate>,
    /// Engines that work beside it.
    seconds: RefCell<JoinSet<()>>,
}

impl Hand {
    fn do_it(&self, what: &What) {
        let cast = &self.cast;
        match what {
            What::Row(deed) => {
                let (cast, deed) = (cast.clone(), deed.clone());
                tokio::spawn(async move { cast.do_to_row(&deed).await });
            }
            What::Page(deed) => cast.do_to_page(deed),
            What::Network { fault, calls } => cast.stage.add_network_faults(fault, *calls),
            What::Store { fault, times } => cast.stage.add_store_faults(*fault, *times),
            What::Crash { polls, down } => self.fate.seal(*polls, *down),
            What::Freeze { span } => self.fate.freeze(cast.stage.elapsed() + span),
            What::SecondEngine { span } => {
                cast.stage.count("two engines");
                let other = keep_running(cast.clone(), Arc::default());
                let span = Duration::from_millis(*span);
                let work = async move { drop(tokio::time::timeout(span, other).await) };
                self.seconds.borrow_mut().spawn_local(work);
            }
            What::Clock { database, machine } => {
                cast.stage.count("a clock jumped");
                cast.judge.lose_track_of_time();
                cast.stage.database_skew.store(*database, Ordering::Relaxed);
                cast.stage.machine_skew.store(*machine, Ordering::Relaxed);
            }
            What::Outage { span } => cast.stage.cut_off(*span),
            What::Revoked { span } => cast.for_a_while(*span, Blow::Revoked),
            What::PageUnshared { table, pick, span } => {
                if let Some(page) = cast.page_of(*table, *pick) {
                    cast.ledger.hide(&page);
                    cast.for_a_while(*span, Blow::PageUnshared(page));
                }
            }
            What::Unshared { table, span } => cast.for_a_while(*span, Blow::Unshared(cast.place(*table))),
            What::DatabaseTrashed { table, span } => {
                cast.for_a_while(*span, Blow::Trashed(cast.place(*table)));
            }
            What::Says(wish) => cast.stage.add_wish(*wish),
            What::FullLooks { times } => cast.stage.add_full_looks(*times),
            What::Meanwhile { call, after, slow, what } => {
                cast.stage.add_meanwhile(*call, *after, *slow, what);
            }
        }
    }
}

/// How it ended.
enum Quiet {
    Reached,
    /// Notion cannot list what is there, and pagerow says so. Nothing else can be asked of it.
    CannotBeRead,
    Never(String),
}

/// Syncs until nothing is left to do.
async fn become_quiet(cast: &Cast, script: &Script) -> Quiet {
    let mut engine = cast.engine();
    let (mut last, mut pass, mut calm) = (String::new(), Vec::new(), 0);
    let (mut depth, mut has_looked) = (Depth::Changes, false);
    // Until when queries may not show what was written.
    let mut hidden_until = 0;
    for _ in 0..ROUNDS {
        match run(cast, &mut engine, depth, std::mem::take(&mut pass)).await {
            Ok(ran) => {
                let is_over = ran.is_quiet && (cast.next_try().is_none() || calm > 5);
                // What waits for another record is tried for ever, ever more rarely.
                calm = if ran.is_quiet { calm + 1 } else { 0 };
                if depth == Depth::Everything {
                    if ran.wrote > 0 && !has_looked && script.is_gentle() {
                        return Quiet::Never(
                            "a full look found what looks for changes had missed".to_owned(),
                        );
                    }
                    has_looked = true;
                    if is_over {
                        return match engine.rest().await {
                            Ok(()) => Quiet::Reached,
                            Err(error) => Quiet::Never(error.to_string()),
                        };
                    }
                }
                let now = cast.stage.elapsed();
                if ran.wrote > 0 {
                    hidden_until = now + script.world.lag;
                }
                // Only when changes alone have made everything equal, and nothing waits for its time, is everything looked at.
                let may_miss = is_over && now >= hidden_until;
                depth = if may_miss { Depth::Everything } else { Depth::Changes };
            }
            // A person looks at it, and it is what they meant.
            Err(Failure::Stopped(names)) => pass = names,
            Err(Failure::TooDense) => return Quiet::CannotBeRead,
            Err(Failure::Other(error)) => last = error,
        }
        let hidden = Duration::from_millis(hidden_until.saturating_sub(cast.stage.elapsed()));
        let pause = cast.next_try().unwrap_or_default().max(hidden).max(Duration::from_secs(5));
        tokio::time::sleep(pause).await;
    }
    Quiet::Never(last)
}

/// Something that is done to Notion and taken back later.
enum Blow {
    Revoked,
    /// The page of this id.
    PageUnshared(String),
    /// The database of this mapping.
    Unshared(usize),
    Trashed(usize),
}

impl Cast {
    fn place(&self, table: u64) -> usize {
        usize::try_from(table).unwrap_or(0) % self.mappings.len()
    }

    fn for_a_while(&self, span: u64, blow: Blow) {
        self.strike(&blow, true);
        let cast = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(span)).await;
            cast.strike(&blow, false);
        });
    }

    fn strike(&self, blow: &Blow, begins: bool) {
        let (method, path, body, what) = match blow {
            Blow::Revoked => {
                let path = format!("tokens/{}", self.notion.token());
                ("PATCH", path, json!({ "revoked": begins }), "the token was revoked")
            }
            Blow::PageUnshared(page) => {
                let path = if begins { "unshare" } else { "share" };
                ("POST", path.to_owned(), json!({ "id": page }), "a page was not shared any more")
            }
            Blow::Unshared(at) => {
                let path = if begins { "unshare" } else { "share" };
                let body = json!({ "id": self.sources[*at].data_source });
                ("POST", path.to_owned(), body, "a database was not shared any more")
            }
            Blow::Trashed(at) => {
                let path =
                    format!("databases/{}/{}", self.databases[*at], if begins { "trash" } else { "restore" });
                ("POST", path, json!({}), "a database was trashed")
            }
        };
        let answer = self.control(method, &path, &body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
        self.judge.out_of_reach(begins, self.stage.elapsed());
        if begins {
            self.stage.count(what);
        }
        self.stage.tell(|| format!("{what}: {begins}"));
    }

    /// How long until a parked record is tried again, if any is.
    pub(crate) fn next_try(&self) -> Option<Duration> {
        let now = self.stage.database_now();
        let times: Vec<_> =
            self.server.look(|db| db.memory.parked.values().filter_map(|row| row.record.next_try).collect());
        let wait = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        times.into_iter().min().map(|at| wait(at) + Duration::from_secs(1))
    }
}
