//! A Notion in a box: a real HTTP server that behaves as Notion's API does, for demos and tests.
//!
//! ```no_run
//! # async fn example() -> Result<(), notion_emulator::StartError> {
//! let emulator = notion_emulator::Emulator::start(notion_emulator::Options::default()).await?;
//! println!("{} {} {}", emulator.base_url(), emulator.token(), emulator.parent_page_id());
//! emulator.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Read `dispatch` first (the way of a request), then `world` (what there is), `edit` (how it changes),
//! `query` (how rows are found) and `render` (how they look). `control` holds what the real one lacks.

mod at;
mod blocks;
mod call;
mod chance;
mod cli;
mod clock;
mod computed;
mod control;
mod counters;
mod dates;
mod dispatch;
mod edit;
mod error;
mod faults;
mod filter;
mod ids;
mod in_process;
mod index;
mod json;
mod limiter;
mod markdown;
mod options;
mod query;
mod render;
mod reply;
mod rich_text;
mod routes;
mod schema;
mod schema_edit;
mod seed;
mod server;
mod token;
mod values;
mod version;
mod webhooks;
mod world;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};

pub use crate::cli::{Args, run};
pub use crate::in_process::{Fault, InProcess, Request, Response};
use crate::{limiter::Limiter, server::Shared, world::World};

/// How an emulator is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// A file the state is read from at the start (when it is there) and saved to at the stop.
    pub state: Option<PathBuf>,
    /// Requests a connection may make in a minute; `None` takes the limit away.
    pub requests_per_minute: Option<u32>,
    /// The first connection's token; random when absent.
    pub token: Option<String>,
}

impl Default for Options {
    /// Any free port of this machine, nothing saved, Notion's documented limit.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: None,
            requests_per_minute: Some(180),
            token: None,
        }
    }
}

/// Why an emulator did not start, or did not save.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    /// The state file cannot be read or written.
    #[error("cannot use the state file {}: {source}", path.display())]
    State { path: PathBuf, source: io::Error },
}

/// A running emulator; it stops when it is dropped.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    token: String,
    parent_page_id: String,
    task: Option<JoinHandle<io::Result<()>>>,
}

impl Emulator {
    /// Starts listening and returns once requests are answered.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let world = match &options.state {
            Some(path) if path.exists() => load(path)?,
            _ => seed::workspace(options.token.clone(), clock::Clock::default()),
        };
        let failed = |source| StartError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let token = world.first_token.clone();
        let parent_page_id = world.parent_page_id.to_string();
        let limiter = Limiter::new(options.requests_per_minute, Duration::from_secs(60));
        let shared = Arc::new(Shared::new(world, limiter, format!("http://{address}"), options.state));
        tokio::spawn(webhooks::deliver(shared.clone()));
        let task = tokio::spawn(server::serve(listener, shared.clone()));
        Ok(Self { shared, address, token, parent_page_id, task: Some(task) })
    }

    /// Such as `http://127.0.0.1:41234`; requests go to `/v1/…` under it.
    pub fn base_url(&self) -> String {
        self.shared.base_url().to_owned()
    }

    /// The first connection's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The page that is shared with the first connection.
    pub fn parent_page_id(&self) -> &str {
        &self.parent_page_id
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Saves the state now, when there is a file for it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> Result<(), StartError> {
        save(&self.shared)
    }

    /// Lets open requests finish (for a second at most), then saves the state.
    pub async fn stop(mut self) -> Result<(), StartError> {
        self.shared.stop();
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(Duration::from_secs(1), &mut task).await.is_err()
        {
            task.abort();
        }
        save(&self.shared)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(task) = self.task.take() {
            task.abort();
            if let Err(error) = save(&self.shared) {
                tracing::error!("{error}");
            }
        }
    }
}

fn save(shared: &Shared) -> Result<(), StartError> {
    shared
        .save()
        .map_err(|source| StartError::State { path: shared.state_file.clone().unwrap_or_default(), source })
}

fn load(path: &std::path::Path) -> Result<World, StartError> {
    let failed = |source| StartError::State { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(failed)?;
    let mut world: World = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
    world.reindex();
    Ok(world)
}
