//! `millrace reload`: now, with the answer.

use anyhow::Context;
use serde_json::Value;

use crate::{
    agent_address::ask,
    args::{OutputFormat, ReloadOptions},
    exit::Answer,
};

pub(crate) fn reload(options: &ReloadOptions) -> anyhow::Result<Answer> {
    let answered = ask(&options.agent, reqwest::Method::POST, "/api/v1/reload", String::new())?;
    let report: Value = serde_json::from_str(&answered.body).context("the answer is no reload report")?;
    match options.format {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        OutputFormat::Text => print!("{}", text(&report)),
    }
    Ok(if report["outcome"] == "refused" { Answer::No } else { Answer::Good })
}

fn text(report: &Value) -> String {
    let generation = &report["generation"];
    match report["outcome"].as_str() {
        Some("applied") => {
            let changes = report["changes"].as_array().into_iter().flatten();
            let lines: Vec<String> = changes
                .map(|change| {
                    let word = |key: &str| change[key].as_str().unwrap_or_default().to_owned();
                    format!("  {:<12} {} {}\n", word("action"), word("kind"), word("name"))
                })
                .collect();
            let notes = report["notes"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let notes: Vec<String> = notes.map(|note| format!("  {note}\n")).collect();
            format!(
                "applied in {} ms; generation {generation} runs now\n{}{}",
                report["took_millis"],
                lines.concat(),
                notes.concat()
            )
        }
        Some("unchanged") => format!("nothing changed; generation {generation} runs on\n"),
        _ => {
            let findings = report["text"].as_str().unwrap_or_default();
            format!("{findings}refused; generation {generation} runs on\n")
        }
    }
}
