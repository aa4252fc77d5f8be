//! How does a notification wake pagerow up? Over a connection of its own, and only where it is seen to come through.

use std::future::poll_fn;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client};

use super::catalogue::quoted;
use super::connection_string::ConnectionString;
use super::error::{Outcome, PostgresError};
use super::tls;

/// How long a notification may take to come back in the test at the start.
const PATIENCE: Duration = Duration::from_secs(5);

/// Listens on one channel. What is notified is a hint to look, never evidence.
#[derive(Debug)]
pub struct Listener {
    /// Kept since the connection ends with it.
    _client: Client,
    woken: mpsc::Receiver<()>,
    address: String,
}

impl Listener {
    /// Connects, listens, and sends itself a notification from a second connection: a pooler in transaction mode
    /// takes the LISTEN without a complaint and delivers nothing.
    ///
    /// # Errors
    /// [`PostgresError::NotificationsLost`] when that notification does not arrive; and everything that a
    /// connection can fail of.
    pub async fn connect(target: &ConnectionString, channel: &str) -> Result<Self, PostgresError> {
        let address = target.address();
        // Nobody may notify on this connection's behalf before the test: its own channel, that nobody knows.
        let test = format!("pagerow_test_{:016x}", rand::random::<u64>());
        let (sender, mut woken) = mpsc::channel(1);
        let listening = open(target, sender).await?;
        let (nowhere, _) = mpsc::channel(1);
        let notifying = open(target, nowhere).await?;
        let failed = |error| PostgresError::understand(&error, &address, Outcome::NotApplied);
        listening.batch_execute(&format!("LISTEN {}", quoted(&test))).await.map_err(failed)?;
        notifying.batch_execute(&format!("NOTIFY {}", quoted(&test))).await.map_err(failed)?;
        match tokio::time::timeout(PATIENCE, woken.recv()).await {
            Ok(Some(())) => {}
            Ok(None) => return Err(PostgresError::ConnectionLost { address, outcome: Outcome::NotApplied }),
            Err(_) => return Err(PostgresError::NotificationsLost { address }),
        }
        let change = format!("UNLISTEN {}; LISTEN {}", quoted(&test), quoted(channel));
        listening.batch_execute(&change).await.map_err(failed)?;
        Ok(Self { _client: listening, woken, address })
    }

    /// Returns when there was a notification since the last call; several count as one.
    ///
    /// # Errors
    /// When the connection is lost. Notifications may have been missed then: connect anew and look.
    pub async fn woken(&mut self) -> Result<(), PostgresError> {
        match self.woken.recv().await {
            Some(()) => Ok(()),
            None => Err(PostgresError::ConnectionLost {
                address: self.address.clone(),
                outcome: Outcome::NotApplied,
            }),
        }
    }
}

async fn open(target: &ConnectionString, woken: mpsc::Sender<()>) -> Result<Client, PostgresError> {
    let connected = target.config.connect(tls::connector(target)?).await;
    let (client, mut connection) = connected
        .map_err(|error| PostgresError::understand(&error, &target.address(), Outcome::NotApplied))?;
    tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match message {
                // A full channel holds a wake-up that nobody has taken yet, which stands for this one too.
                Ok(AsyncMessage::Notification(_)) => drop(woken.try_send(())),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "a listening connection ended");
                    return;
                }
            }
        }
    });
    Ok(client)
}
