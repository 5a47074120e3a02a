//! `millrace status`: a running agent as a table.

use anyhow::Context;
use serde_json::Value;

use crate::{
    agent_address::ask,
    args::{OutputFormat, StatusOptions},
    exit::Answer,
};

pub(crate) fn status(options: &StatusOptions) -> anyhow::Result<Answer> {
    let answered = ask(&options.agent, reqwest::Method::GET, "/api/v1/status", String::new())?;
    let status: Value = serde_json::from_str(&answered.body).context("the answer is no status")?;
    match options.format {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&status)?),
        OutputFormat::Text => print!("{}", table(&status)),
    }
    Ok(if status["healthy"] == true { Answer::Good } else { Answer::No })
}

fn table(status: &Value) -> String {
    let mut lines = vec![format!(
        "{}  generation {}  up {}s  {}",
        text(&status["agent"]),
        status["generation"],
        status["uptime_seconds"],
        if status["healthy"] == true { "healthy" } else { "NOT HEALTHY" }
    )];
    for (title, key) in [("SOURCE", "sources"), ("SINK", "sinks")] {
        lines.push(format!("\n{title:<24} {:<16} {:<10} CHANNELS", "TYPE", "STATE"));
        for component in list(&status[key]) {
            let channels: Vec<String> = list(&component["channels"]).map(text).collect();
            lines.push(format!(
                "{:<24} {:<16} {:<10} {}",
                text(&component["name"]),
                text(&component["type"]),
                text(&component["state"]),
                channels.join(" ")
            ));
            for interceptor in list(&component["interceptors"]) {
                let digest =
                    interceptor["digest"].as_str().map_or("", |digest| digest.get(..19).unwrap_or(digest));
                lines.push(format!(
                    "  {:<22} {:<16} generation {} {digest}",
                    text(&interceptor["name"]),
                    text(&interceptor["type"]),
                    interceptor["generation"],
                ));
                lines.extend(swap(&interceptor["swap"]));
            }
            if let Some(error) = component["last_error"]["reason"].as_str() {
                lines.push(format!("  last error: {error}"));
            }
        }
    }
    lines
        .push(format!("\n{:<24} {:>12} {:>14} {:>8} {:>8}", "CHANNEL", "EVENTS", "BYTES", "FILL", "DAMAGED"));
    for channel in list(&status["channels"]) {
        let (events, most) =
            (channel["events"].as_u64().unwrap_or(0), channel["events_max"].as_u64().unwrap_or(0));
        let fill = events.saturating_mul(100).checked_div(most).unwrap_or(0);
        lines.push(format!(
            "{:<24} {:>12} {:>14} {:>7}% {:>8}",
            text(&channel["name"]),
            events,
            text(&channel["bytes"]),
            fill,
            text(&channel["damaged"])
        ));
    }
    lines.join("\n") + "\n"
}

/// How a version replaced the one before, while that is news.
fn swap(swap: &Value) -> Vec<String> {
    let number = |key: &str| swap[key].as_u64().unwrap_or(0);
    let mut lines = Vec::new();
    match swap["state"].as_str() {
        Some("trial") => lines.push(format!(
            "    on trial ({}): {} batches, {} events, {} compared, {} differ, {} faults; generation {} counts",
            text(&swap["mode"]),
            number("batches"),
            number("events"),
            number("events_compared"),
            number("events_differing"),
            number("faults"),
            number("running_generation"),
        )),
        Some("rolled-back") => lines.push(format!(
            "    ROLLED BACK to generation {}: {}",
            number("running_generation"),
            swap["reason"].as_str().unwrap_or_default()
        )),
        _ => return lines,
    }
    lines.extend(list(&swap["differences"]).map(|difference| format!("    differs: {}", text(difference))));
    lines
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
