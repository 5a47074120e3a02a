//! The admin HTTP server: health, metrics, status, reload, log level. On loopback by default.
//!
//! | request | answers |
//! |---|---|
//! | `GET /health` | 200 while the process works at all |
//! | `GET /ready` | 200 when every component runs, 503 with the ones that do not |
//! | `GET /metrics` | OpenMetrics text |
//! | `GET /api/v1/status` | JSON: plan, components, channels, last reload |
//! | `POST /api/v1/reload` | JSON: what changed, or why the reload was refused |
//! | `GET`, `PUT /api/v1/log-level` | the filter of the agent's own log |
//!
//! Requests that change something are refused when a browser sends them for another site (they carry `Origin`).

mod server;
mod views;

pub use server::{AdminServer, LogLevel, bind};
pub use views::{FindingView, ReloadView};
