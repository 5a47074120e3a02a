//! Where a running agent answers, and asking it.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};

use crate::args::AdminOptions;

/// The file under the data directory that says where the admin server listens.
pub(crate) const ADDRESS_FILE: &str = "admin.address";

/// A reload may build and hand over for a while; anything longer is reported as no answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What the agent answered.
pub(crate) struct Answered {
    pub(crate) ok: bool,
    pub(crate) body: String,
}

/// Sends one request to the agent that the options mean.
pub(crate) fn ask(
    options: &AdminOptions,
    method: reqwest::Method,
    path: &str,
    body: String,
) -> anyhow::Result<Answered> {
    let address = address(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        let request = client.request(method, format!("http://{address}{path}")).body(body);
        let response = request
            .send()
            .await
            .map_err(|error| anyhow::Error::new(error.without_url()))
            .with_context(|| {
                format!(
                    "no agent answers on {address}; is it running, and is this its `admin listen` address?"
                )
            })?;
        let ok = response.status().is_success();
        Ok(Answered { ok, body: response.text().await? })
    })
}

#[expect(clippy::disallowed_methods, reason = "a running agent leaves its address in a file")]
fn address(options: &AdminOptions) -> anyhow::Result<String> {
    if let Some(address) = &options.admin {
        return Ok(address.clone());
    }
    let default = Path::new("agent.kdl");
    let config = options.config.as_deref().or_else(|| default.exists().then_some(default));
    let Some(config) = config else { return Ok("127.0.0.1:9600".into()) };
    let (spec, findings) = crate::registry::load(config);
    if findings.has_errors() {
        bail!(
            "{} has mistakes (see `millrace check`); name the agent with --admin host:port",
            config.display()
        );
    }
    let Some(listen) = spec.agent.admin_listen else {
        bail!("{} switches the admin server off: nobody can ask this agent", config.display());
    };
    let written = std::fs::read_to_string(spec.agent.data_dir.join(ADDRESS_FILE));
    Ok(written.map_or(listen, |address| address.trim().to_owned()))
}
