//! Playing a script: first everything that happens, then quiet, then the questions that have to be answered well.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pagerow::engine::Depth;

use crate::{
    cast::Cast,
    end,
    process::{Failure, Fate, keep_running, run},
    script::{Script, What},
};

/// What came of a simulation.
pub(crate) struct Played {
    /// What should have been otherwise.
    pub(crate) violations: Vec<String>,
    /// The name of everything that happened.
    pub(crate) trace: String,
    /// The same to read, where that was asked for.
    pub(crate) lines: Vec<String>,
    pub(crate) tally: BTreeMap<&'static str, u64>,
}

/// Rounds in which everything has to become quiet.
const ROUNDS: usize = 60;

/// Plays a script from its beginning to its end.
pub(crate) fn play(script: &Script, told: bool) -> Played {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    // The engine's future need not be able to move between threads.
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let cast = Cast::new(script, told);
        let mut violations = act(&cast, script).await;
        if violations.is_empty() {
            violations = end::violations(&cast, script).await;
        }
        let (trace, lines) = cast.stage.trace();
        Played { violations, trace, lines, tally: cast.stage.tally() }
    })
}

/// Both phases. Answers why it did not become quiet.
async fn act(cast: &Cast, script: &Script) -> Vec<String> {
    for _ in 0..script.world.rows {
        cast.insert(&cast.mappings[0].name.clone(), cast.server.number().to_string().into()).await;
    }
    let began = tokio::time::Instant::now();
    let fate = Arc::new(Fate::default());
    let process = tokio::task::spawn_local(keep_running(cast.clone(), Arc::clone(&fate)));
    for event in &script.events {
        tokio::time::sleep_until(began + Duration::from_millis(event.at)).await;
        match &event.what {
            What::Row(deed) => {
                let (cast, deed) = (cast.clone(), deed.clone());
                tokio::spawn(async move { cast.do_to_row(&deed).await });
            }
            What::Page(deed) => cast.do_to_page(deed),
            What::Network { fault, calls } => cast.stage.add_network_faults(fault, *calls),
            What::Store { fault, times } => cast.stage.add_store_faults(*fault, *times),
            What::Crash { polls, down } => fate.seal(*polls, *down),
        }
    }
    tokio::time::sleep_until(began + Duration::from_millis(script.quiet_at)).await;
    process.abort();
    cast.stage.calm();
    cast.stage.tell(|| "from here on all is quiet".to_owned());
    // What is still on its way arrives, and people finish what they have begun.
    tokio::time::sleep(Duration::from_secs(200)).await;
    become_quiet(cast).await
}

/// Syncs until nothing is left to do.
async fn become_quiet(cast: &Cast) -> Vec<String> {
    let mut engine = cast.engine();
    let (mut last, mut pass) = (String::new(), None);
    for round in 0..ROUNDS {
        let depth = if round % 4 == 3 { Depth::Everything } else { Depth::Changes };
        match run(cast, &mut engine, depth, pass.take()).await {
            Ok(true) if cast.next_try().is_none() => return Vec::new(),
            Ok(_) => {}
            // A person looks at it, and it is what they meant.
            Err(Failure::Stopped(plan)) => pass = Some(plan),
            Err(Failure::Other(error)) => last = error,
        }
        let pause = cast.next_try().unwrap_or_default().max(Duration::from_secs(5));
        tokio::time::sleep(pause).await;
    }
    vec![format!("it did not become quiet in {ROUNDS} rounds: {last}")]
}

impl Cast {
    /// How long until a parked record is tried again, if any is.
    fn next_try(&self) -> Option<Duration> {
        let now = self.stage.database_now();
        let times: Vec<_> =
            self.server.look(|db| db.memory.parked.values().filter_map(|row| row.record.next_try).collect());
        times.into_iter().min().map(|at| at.duration_since(now).unsigned_abs() + Duration::from_secs(1))
    }
}
