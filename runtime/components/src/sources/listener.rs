//! Connections of a listening source: each in a task of its own, so many at a time and no more.
//!
//! Above the limit connections wait in the system's queue until one of the others has ended. At shutdown no
//! further one is accepted, and those that are open have a short time to finish what they have in hand.

use std::{io, net::SocketAddr, time::Duration};

use millrace_core::{Health, SourceContext};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
};

/// How long connections may take to finish once the source stops.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_secs(5);
/// Pause after the system refused to accept, so that a lack of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Runs `connection` for each client until the source shall stop and all of them have ended.
pub(crate) async fn serve<C: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    connections_max: usize,
    cx: &SourceContext,
    mut connection: impl FnMut(TcpStream, SocketAddr) -> C,
) {
    let mut open = JoinSet::new();
    let mut crowded = false;
    loop {
        let has_room = open.len() < connections_max;
        if !has_room && !crowded {
            tracing::warn!(source = %cx.name, connections_max, "as many connections as allowed, others wait");
        }
        crowded = !has_room;
        tokio::select! {
            () = cx.shutdown.cancelled() => break,
            Some(ended) = open.join_next() => report(cx, ended),
            accepted = listener.accept(), if has_room => match accepted {
                Ok((stream, peer)) => drop(open.spawn(connection(stream, peer))),
                Err(error) => pause(&cx.health, cx, &error).await,
            },
        }
    }
    drop(listener);
    let all_ended = async {
        while let Some(ended) = open.join_next().await {
            report(cx, ended);
        }
    };
    if tokio::time::timeout(CLOSE_GRACE, all_ended).await.is_err() {
        tracing::warn!(source = %cx.name, connections = open.len(), "connections closed before they were done");
    }
}

/// A client that is gone before it is accepted is nobody's trouble; the rest is the system's.
async fn pause(health: &Health, cx: &SourceContext, error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::warn!(source = %cx.name, %error, "cannot accept a connection");
    health.failed(cx.clock.now(), error);
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn report(cx: &SourceContext, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(source = %cx.name, %error, "a connection ended in a panic");
    }
}
