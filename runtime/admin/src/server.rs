//! Routes and answers.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use millrace_core::HealthState;
use millrace_engine::{AgentHandle, AgentStatus, ComponentStatus, Outcome};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::views::ReloadView;

/// The largest body a request may have: only a log filter is ever sent.
const BODY_BYTES_MAX: usize = 4096;

/// Reads and changes the filter of the agent's own log.
pub trait LogLevel: Send + Sync {
    /// The filter in force.
    fn current(&self) -> String;
    /// Puts another filter in force.
    ///
    /// # Errors
    /// The text is no filter; the old one stays.
    fn change(&self, filter: &str) -> Result<(), String>;
}

/// Binds the address the server will answer on.
///
/// # Errors
/// The address cannot be bound.
pub async fn bind(listen: &str) -> std::io::Result<TcpListener> {
    TcpListener::bind(listen).await
}

/// A server of one agent.
pub struct AdminServer {
    agent: AgentHandle,
    log_level: Arc<dyn LogLevel>,
}

impl AdminServer {
    /// A server that is not running yet.
    pub fn new(agent: AgentHandle, log_level: Arc<dyn LogLevel>) -> Self {
        Self { agent, log_level }
    }

    /// Answers until `stop` is cancelled.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        let router = router(Arc::new(self));
        axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
    }
}

type Shared = State<Arc<AdminServer>>;

fn router(server: Arc<AdminServer>) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/log-level", get(log_level).put(change_log_level))
        .fallback(|| async {
            (StatusCode::NOT_FOUND, "no such path; see /health /ready /metrics /api/v1/status\n")
        })
        .layer(axum::middleware::from_fn(refuse_foreign_sites))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(server)
}

/// A page of another site may make a browser send requests here, but not without saying so.
async fn refuse_foreign_sites(request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && request.headers().contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "requests from web pages are refused\n").into_response();
    }
    next.run(request).await
}

async fn ready(State(server): Shared) -> Response {
    let status = server.agent.status();
    let waiting: Vec<&ComponentStatus> =
        status.sources.iter().chain(&status.sinks).filter(|one| !is_ready(one)).collect();
    let code = if waiting.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(serde_json::json!({ "ready": waiting.is_empty(), "not-ready": waiting }))).into_response()
}

fn is_ready(component: &ComponentStatus) -> bool {
    matches!(component.state, HealthState::Running | HealthState::Idle | HealthState::Stopped)
}

async fn metrics(State(server): Shared) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    match server.agent.metrics().encode() {
        Ok(text) => (kind, text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn status(State(server): Shared) -> Json<AgentStatus> {
    Json(server.agent.status())
}

async fn reload(State(server): Shared) -> Response {
    let report = server.agent.reload().await;
    let code =
        if report.outcome == Outcome::Refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    (code, Json(ReloadView::new(&report))).into_response()
}

async fn log_level(State(server): Shared) -> String {
    server.log_level.current()
}

async fn change_log_level(State(server): Shared, filter: String) -> Response {
    match server.log_level.change(filter.trim()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}
