//! Prepares everything that may fail, then switches.

use std::{collections::BTreeMap, sync::Arc};

use millrace_config::{Diagnostic, Diagnostics};
use millrace_core::{Channel, Reconfigured};

use crate::{
    agent::{Running, Services},
    plan::AgentPlan,
};

use super::{
    Action, Change,
    build::{Built, build},
    diff::{Difference, difference},
    succession,
    switch::switch,
};

/// What a reload did.
#[derive(Default)]
pub(crate) struct Applied {
    pub(crate) changes: Vec<Change>,
    pub(crate) notes: Vec<String>,
}

/// Makes `running` what the plan says. An error leaves it as it was.
pub(crate) async fn apply(
    services: &Services,
    running: &mut Running,
    plan: AgentPlan,
) -> Result<Applied, Diagnostics> {
    let empty = AgentPlan::empty(&plan);
    let old = running.plan.clone().unwrap_or_else(|| Arc::new(empty));
    settings_stay(&old, &plan)?;
    let difference = difference(&old, &plan);
    if difference.is_empty() && running.plan.is_some() {
        return Ok(Applied::default());
    }
    channel_types_stay(&difference, &plan)?;
    let plan = Arc::new(plan);
    let mut built = build_off_thread(services, running, &plan, &difference).await?;
    open(&built.channels, built.dead_letter.as_ref(), &plan).await?;
    let prepared = match succession::prepare(succession::pairs(running, &built)).await {
        // Dropped when the other step fails, and with that undone.
        Ok(ready) => prepare_running_parts(running, &old, &plan, &difference, &built).map(|()| ready),
        Err(findings) => Err(findings),
    };
    let ready = match prepared {
        Ok(ready) => ready,
        Err(findings) => {
            close_all(std::mem::take(&mut built.channels)).await;
            return Err(findings);
        }
    };
    let changes = difference.changes(&old, &plan);
    let notes = ready.into_iter().flat_map(millrace_core::Takeover::complete).collect();
    switch(services, running, plan, &difference, built).await;
    Ok(Applied { changes, notes })
}

async fn build_off_thread(
    services: &Services,
    running: &Running,
    plan: &Arc<AgentPlan>,
    difference: &Difference,
) -> Result<Built, Diagnostics> {
    let kept: BTreeMap<_, _> =
        running.sources.iter().map(|(name, source)| (name.clone(), source.interceptors.clone())).collect();
    let needs_dead_letter = plan.settings.dead_letter_channel.is_none()
        && running.dead_letter.as_ref().is_none_or(|letter| &*letter.name != crate::build::DEAD_LETTER);
    let (builder, plan, difference) = (services.builder(), Arc::clone(plan), difference.clone());
    let building =
        tokio::task::spawn_blocking(move || build(&builder, &plan, &difference, &kept, needs_dead_letter))
            .await;
    building.unwrap_or_else(|error| {
        Err(Diagnostic::general("reload::failed", format!("building the components broke off: {error}"))
            .into())
    })
}

/// What only a restart can change.
fn settings_stay(old: &AgentPlan, new: &AgentPlan) -> Result<(), Diagnostics> {
    let mut findings = Diagnostics::default();
    let mut fixed = |what: &str, same: bool| {
        if !same {
            let reason = format!("`{what}` cannot change while the agent runs");
            findings.push(
                Diagnostic::general("reload::needs-restart", reason).help("restart the agent to apply it"),
            );
        }
    };
    fixed("data-dir", old.settings.data_dir == new.settings.data_dir);
    fixed("admin", old.settings.admin_listen == new.settings.admin_listen);
    fixed("agent name", old.settings.name == new.settings.name);
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

fn channel_types_stay(difference: &Difference, plan: &AgentPlan) -> Result<(), Diagnostics> {
    let changed =
        plan.channels.iter().find(|channel| difference.channels.get(&channel.name) == Some(&Action::Swap));
    let Some(channel) = changed else { return Ok(()) };
    let reason = format!("channel `{}` cannot become another type while it holds events", channel.name);
    Err(Diagnostic::error("reload::channel-type", channel.component.kind.span, reason)
        .help("give the new channel another name: the old one is emptied before it goes")
        .into())
}

/// Opens new channels; when one fails, those already open are closed again.
async fn open(
    channels: &BTreeMap<String, Arc<dyn Channel>>,
    dead_letter: Option<&Arc<dyn Channel>>,
    plan: &AgentPlan,
) -> Result<(), Diagnostics> {
    let mut opened: BTreeMap<String, Arc<dyn Channel>> = BTreeMap::new();
    let letters = dead_letter.map(|channel| (crate::build::DEAD_LETTER.to_owned(), channel));
    let named = channels.iter().map(|(name, channel)| (name.clone(), channel));
    for (name, channel) in named.chain(letters) {
        if let Err(error) = channel.open().await {
            close_all(opened).await;
            let at = plan.channels.iter().find(|planned| planned.name == name);
            let reason = error.to_string();
            return Err(match at {
                Some(planned) => Diagnostic::error("channel::open", planned.component.name.span, reason),
                None => Diagnostic::general("channel::open", reason),
            }
            .into());
        }
        opened.insert(name, Arc::clone(channel));
    }
    Ok(())
}

async fn close_all(channels: BTreeMap<String, Arc<dyn Channel>>) {
    for (name, channel) in channels {
        if let Err(error) = channel.close().await {
            tracing::warn!(channel = name, %error, "closing a channel of a refused plan failed");
        }
    }
}

/// Binds sockets and changes the options of channels that go on: the last steps that can fail.
fn prepare_running_parts(
    running: &Running,
    old: &AgentPlan,
    plan: &AgentPlan,
    difference: &Difference,
    built: &Built,
) -> Result<(), Diagnostics> {
    for source in &plan.sources {
        let Some(instance) = built.sources.get(&source.name) else { continue };
        if let Err(error) = running.sockets.lock().acquire(&source.name, &instance.listens()) {
            let span = source.section.span_of("listen");
            let help = "choose another address, or end the process that holds this one";
            return Err(Diagnostic::error("source::listen", span, error.to_string()).help(help).into());
        }
    }
    let mut done: Vec<&str> = Vec::new();
    for channel in plan
        .channels
        .iter()
        .filter(|channel| difference.channels.get(&channel.name) == Some(&Action::Reconfigure))
    {
        let Some(instance) = running.channels.iter().find(|one| *one.name == *channel.name) else { continue };
        if let Reconfigured::Refused(reason) = instance.channel.reconfigure(&channel.section) {
            for undone in done {
                let before = old.channels.iter().find(|before| before.name == undone);
                let instance = running.channels.iter().find(|one| &*one.name == undone);
                if let (Some(before), Some(instance)) = (before, instance) {
                    instance.channel.reconfigure(&before.section);
                }
            }
            let span = channel.component.name.span;
            return Err(Diagnostic::error("reload::channel-options", span, reason)
                .help("restart the agent to apply it")
                .into());
        }
        done.push(&channel.name);
    }
    Ok(())
}
