//! The limiter against servers that count: is the limit used up, and never overrun?

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A server that allows `limit` calls in each fixed window, or refuses with `Retry-After` in whole seconds.
struct Server {
    start: Instant,
    /// How far into a window the server was at `start`.
    phase: Duration,
    state: Mutex<Counted>,
    latency: [u64; 4],
    calls: AtomicU64,
    hint: bool,
}

struct Counted {
    limit: u64,
    window: u128,
    in_window: u64,
    /// Per-second counting: tokens and when they were counted.
    bucket: Option<(f64, f64, Instant)>,
    served: u64,
    refused: u64,
}

impl Server {
    fn new(limit: u64, phase: Duration, latency: [u64; 4]) -> Arc<Self> {
        let state = Counted { limit, window: 0, in_window: 0, bucket: None, served: 0, refused: 0 };
        Arc::new(Self {
            start: Instant::now(),
            phase,
            state: Mutex::new(state),
            latency,
            calls: AtomicU64::new(0),
            hint: true,
        })
    }

    /// `Err` is a refusal with what `Retry-After` says.
    async fn call(&self) -> Result<(), Option<Duration>> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let latency = Duration::from_millis(self.latency[usize::try_from(number % 4).unwrap()]);
        tokio::time::sleep(latency.mul_f64(0.7)).await;
        let verdict = self.count();
        tokio::time::sleep(latency.mul_f64(0.3)).await;
        verdict
    }

    fn count(&self) -> Result<(), Option<Duration>> {
        let mut state = self.state.lock().unwrap();
        let now = Instant::now();
        let left = if let Some((tokens, burst, since)) = state.bucket {
            let rate = state.limit as f64 / 60.0;
            let tokens = (tokens + now.duration_since(since).as_secs_f64() * rate).min(burst);
            if tokens >= 1.0 {
                state.bucket = Some((tokens - 1.0, burst, now));
                state.served += 1;
                return Ok(());
            }
            state.bucket = Some((tokens, burst, now));
            Duration::from_secs(1)
        } else {
            let elapsed = (now - self.start) + self.phase;
            let window = elapsed.as_millis() / WINDOW.as_millis();
            if window != state.window {
                (state.window, state.in_window) = (window, 0);
            }
            if state.in_window < state.limit {
                state.in_window += 1;
                state.served += 1;
                return Ok(());
            }
            WINDOW - Duration::from_millis(u64::try_from(elapsed.as_millis() % WINDOW.as_millis()).unwrap())
        };
        state.refused += 1;
        Err(self.hint.then(|| Duration::from_secs(left.as_secs_f64().ceil() as u64)))
    }

    fn served(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap();
        (state.served, state.refused)
    }
}

/// Sends until a call is served.
async fn send(pacing: &Arc<Pacing>, server: &Server, urgency: Urgency) {
    loop {
        let permit = pacing.admit(urgency).await;
        match server.call().await {
            Ok(()) => return permit.answered(),
            Err(retry_after) => permit.refused(retry_after),
        }
    }
}

/// `workers` that together send `calls` calls; the time it took.
async fn work(pacing: &Arc<Pacing>, server: &Arc<Server>, calls: u64, workers: u64) -> Duration {
    let start = Instant::now();
    let left = Arc::new(AtomicU64::new(calls));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (pacing, server, left) = (Arc::clone(pacing), Arc::clone(server), Arc::clone(&left));
        tasks.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            {
                send(&pacing, &server, Urgency::Bulk).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    start.elapsed()
}

const LATENCIES: [[u64; 4]; 3] = [[1, 1, 1, 1], [200, 200, 600, 200], [100, 2000, 900, 300]];

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_take_the_limits_time_and_none_is_refused() {
    for latency in LATENCIES {
        for phase in [0, 1, 17_300, 30_000, 59_999] {
            let pacing = Pacing::new(Limits::default());
            let server = Server::new(180, Duration::from_millis(phase), latency);
            let took = work(&pacing, &server, 1000, 40).await;
            let (served, refused) = server.served();
            let ratio = took.as_secs_f64() / (1000.0 / 3.0);
            println!(
                "latency {latency:?} phase {phase}: {took:?}, {ratio:.3} of the limit's time, {refused} refused"
            );
            assert_eq!((served, refused), (1000, 0), "latency {latency:?}, phase {phase}");
            assert!(ratio <= 1.05, "{ratio}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn long_work_uses_the_limit_up() {
    for latency in LATENCIES {
        let pacing = Pacing::new(Limits::default());
        let server = Server::new(180, Duration::from_secs(25), latency);
        work(&pacing, &server, 200, 40).await;
        let took = work(&pacing, &server, 9000, 40).await;
        let used = 9000.0 / (took.as_secs_f64() * 3.0);
        println!("latency {latency:?}: {:.1} % of the limit, {} refused", used * 100.0, server.served().1);
        assert_eq!(server.served().1, 0);
        assert!(used >= 0.97, "{used}");
    }
}

#[tokio::test(start_paused = true)]
async fn small_work_does_not_wait() {
    let pacing = Pacing::new(Limits::default());
    let server = Server::new(180, Duration::ZERO, [200; 4]);
    let took = work(&pacing, &server, 100, 16).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_person_waits_little_while_bulk_work_fills_the_limit() {
    let pacing = Pacing::new(Limits::default());
    let server = Server::new(180, Duration::from_secs(40), [200; 4]);
    let bulk = {
        let (pacing, server) = (Arc::clone(&pacing), Arc::clone(&server));
        tokio::spawn(async move { work(&pacing, &server, 2000, 40).await })
    };
    let mut longest = Duration::ZERO;
    for _ in 0..80 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let asked = Instant::now();
        send(&pacing, &server, Urgency::Interactive).await;
        longest = longest.max(asked.elapsed());
    }
    bulk.await.unwrap();
    println!("longest interactive call: {longest:?}");
    assert_eq!(server.served(), (2080, 0));
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_pauses_the_whole_connection() {
    let pacing = Pacing::new(Limits { requests_per_minute: None, in_flight: 16 });
    pacing.admit(Urgency::Bulk).await.refused(Some(Duration::from_secs(90)));
    let start = Instant::now();
    let both = tokio::join!(pacing.admit(Urgency::Bulk), pacing.admit(Urgency::Interactive));
    assert_eq!(start.elapsed(), Duration::from_secs(90));
    assert_eq!(pacing.counters().refused, 1);
    drop(both);
}

#[tokio::test(start_paused = true)]
async fn refusals_without_a_hint_pause_longer_each_time() {
    let pacing = Pacing::new(Limits { requests_per_minute: None, in_flight: 1 });
    let start = Instant::now();
    for _ in 0..10 {
        pacing.admit(Urgency::Bulk).await.refused(None);
    }
    let waited = start.elapsed();
    assert!(waited > Duration::from_secs(60) && waited < Duration::from_secs(300), "{waited:?}");
    pacing.admit(Urgency::Bulk).await.answered();
    let start = Instant::now();
    pacing.admit(Urgency::Bulk).await.refused(None);
    pacing.admit(Urgency::Bulk).await.answered();
    assert!(start.elapsed() <= FIRST_PAUSE, "an answer ends the growth");
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_is_learned_and_forgotten() {
    let pacing = Pacing::new(Limits::default());
    let server = Server::new(60, Duration::from_secs(10), [200; 4]);
    let stormy = work(&pacing, &server, 900, 20).await;
    let (served, refused) = server.served();
    let used = served as f64 / stormy.as_secs_f64();
    println!("storm: {:.1} % of 60/min used, {refused} refused of {served}", used * 100.0);
    assert!(used >= 0.95, "{used}");
    // Sixteen are the calls that were in flight when the first burst met the lower limit.
    assert!(refused <= 16 + 8, "{refused} refused");

    server.state.lock().unwrap().limit = 180;
    let calm = work(&pacing, &server, 1500, 20).await;
    println!("after it: {calm:?} for 1500 calls, {} refused in all", server.served().1);
    assert_eq!(pacing.counters().requests_per_minute, Some(180));
    let again = work(&pacing, &server, 900, 20).await;
    assert!(again.as_secs_f64() <= 300.0 * 1.05, "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_counts_seconds_is_met_halfway() {
    let pacing = Pacing::new(Limits::default());
    let server = Server::new(180, Duration::ZERO, [200; 4]);
    server.state.lock().unwrap().bucket = Some((10.0, 10.0, Instant::now()));
    let took = work(&pacing, &server, 1000, 20).await;
    let (_, refused) = server.served();
    println!("per second: {took:?} for 1000 calls, {refused} refused");
    assert!(took.as_secs_f64() / (1000.0 / 3.0) <= 1.05, "{took:?}");
    assert!(refused <= 20, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn refusals_without_retry_after_end_too() {
    let pacing = Pacing::new(Limits::default());
    let mut server = Server::new(60, Duration::ZERO, [200; 4]);
    Arc::get_mut(&mut server).unwrap().hint = false;
    let took = work(&pacing, &server, 300, 20).await;
    assert_eq!(server.served().0, 300);
    assert!(took < Duration::from_secs(480), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn unlimited_never_waits() {
    let pacing = Pacing::new(Limits { requests_per_minute: None, in_flight: 16 });
    let server = Server::new(u64::MAX, Duration::ZERO, [0; 4]);
    let took = work(&pacing, &server, 20_000, 16).await;
    assert!(took < Duration::from_millis(10), "{took:?}");
    assert_eq!(pacing.counters().calls, 20_000);
}

#[tokio::test(start_paused = true)]
async fn never_more_in_flight_than_agreed() {
    let pacing = Pacing::new(Limits { requests_per_minute: None, in_flight: 5 });
    let server = Server::new(u64::MAX, Duration::ZERO, [100; 4]);
    let watch = {
        let pacing = Arc::clone(&pacing);
        tokio::spawn(async move {
            let mut most = 0;
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                most = most.max(pacing.counters().in_flight);
            }
            most
        })
    };
    work(&pacing, &server, 100, 50).await;
    assert_eq!(watch.await.unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn callers_who_give_up_leave_no_gap() {
    let pacing = Pacing::new(Limits { requests_per_minute: None, in_flight: 1 });
    let held = pacing.admit(Urgency::Bulk).await;
    for urgency in [Urgency::Bulk, Urgency::Interactive, Urgency::Bulk] {
        let waiting = tokio::time::timeout(Duration::from_secs(1), pacing.admit(urgency)).await;
        assert!(waiting.is_err());
    }
    let next = tokio::spawn({
        let pacing = Arc::clone(&pacing);
        async move { pacing.admit(Urgency::Bulk).await.answered() }
    });
    tokio::task::yield_now().await;
    drop(held);
    next.await.unwrap();
    assert_eq!(pacing.counters().waiting, 0);
    assert_eq!(pacing.counters().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_left_costs_nothing() {
    let pacing = Pacing::new(Limits { requests_per_minute: Some(1), in_flight: 1 });
    let start = Instant::now();
    pacing.admit(Urgency::Interactive).await.unsent();
    pacing.admit(Urgency::Interactive).await.answered();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(pacing.counters().calls, 1);
    pacing.admit(Urgency::Interactive).await.answered();
    assert_eq!(start.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn the_forecast_comes_true() {
    let pacing = Pacing::new(Limits::default());
    let server = Server::new(180, Duration::from_secs(33), [200; 4]);
    for calls in [50, 400, 1000] {
        let forecast = pacing.forecast(calls);
        let took = work(&pacing, &server, calls, 40).await;
        println!("{calls} calls: forecast {forecast:?}, took {took:?}");
        let gap = (forecast.as_secs_f64() - took.as_secs_f64()).abs();
        assert!(
            gap <= took.as_secs_f64() * 0.1 + 2.0 || gap <= 60.0 && calls > 180,
            "{calls}: {forecast:?} {took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_turn_takes_nothing() {
    let pacing = Pacing::new(Limits { requests_per_minute: Some(3), in_flight: 8 });
    let start = Instant::now();
    for _ in 0..10 {
        pacing.ready(Urgency::Interactive).await;
    }
    assert_eq!((pacing.counters().calls, start.elapsed()), (0, Duration::ZERO));
    for _ in 0..3 {
        pacing.admit(Urgency::Interactive).await.answered();
    }
    pacing.ready(Urgency::Interactive).await;
    assert!(start.elapsed() >= WINDOW, "{:?}", start.elapsed());
    assert_eq!(pacing.counters().calls, 3);
    let ready = Instant::now();
    pacing.admit(Urgency::Interactive).await.answered();
    assert_eq!(ready.elapsed(), Duration::ZERO, "the turn that was waited for is still there");
}
