//! `millrace log-level`: the log filter of a running agent.

use anyhow::bail;

use crate::{agent_address::ask, args::LogLevelOptions, exit::Answer};

pub(crate) fn log_level(options: &LogLevelOptions) -> anyhow::Result<Answer> {
    let path = "/api/v1/log-level";
    let Some(filter) = &options.filter else {
        println!("{}", ask(&options.agent, reqwest::Method::GET, path, String::new())?.body);
        return Ok(Answer::Good);
    };
    let answered = ask(&options.agent, reqwest::Method::PUT, path, filter.clone())?;
    if !answered.ok {
        bail!("{}", answered.body.trim_end());
    }
    Ok(Answer::Good)
}
