//! Replacing one version of an interceptor by the next, with proof.
//!
//! Before the switch the last batches are replayed through both versions and compared (`replay`). Where both export
//! `handover`, the new one takes over what the old one keeps in memory, at a batch boundary (`takeover`). Then the
//! new one is on trial (`trial`), and the old one is kept until that is over:
//!
//! | mode | whose result counts | ends |
//! |---|---|---|
//! | `immediate` | the new one's; a batch it breaks on goes through the old one | after `roll-back within` |
//! | `canary` | the new one's for some events, chosen by a hash, the old one's for the rest | after `for` or `batches` |
//! | `shadow` | the old one's; the new one's is compared event by event and thrown away | after `for` or `batches` |
//!
//! A trial that is not rolled back ends with the new version in force. A fault counts where the old version gets
//! through the same batch: a version is not blamed for an event that breaks both.

mod compare;
mod recent;
mod replay;
mod takeover;
mod trial;

use std::time::Duration;

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};

pub(crate) use self::{
    compare::Tally,
    recent::Recent,
    takeover::prepare,
    trial::{Passed, Trial, Verdict},
};

/// Time of a trial where the configuration names neither time nor batches.
const TRIAL_TIME: Duration = Duration::from_secs(30);

pub(crate) const SWAP: OptionSpec = OptionSpec::optional(
    "swap",
    OptionKind::Blocks(&[
        OptionSpec::with_default(
            "percent",
            OptionKind::Integer { min: 0, max: 100 },
            "10",
            "For canary: share of the events that go through the new version",
        ),
        OptionSpec::optional(
            "by",
            OptionKind::Text,
            "For canary: header whose value decides which version an event goes through; without it, and where an event \
             does not have it, the body decides",
        ),
        OptionSpec::optional(
            "for",
            OptionKind::Duration,
            "How long the trial takes; 30s unless `batches` is given",
        ),
        OptionSpec::optional(
            "batches",
            OptionKind::Integer { min: 1, max: i64::MAX },
            "The trial is over after so many batches; with `for`, after whichever comes first",
        ),
    ]),
    "How a changed version takes over: `swap \"immediate\"` (default), `swap \"canary\" percent=10 by=\"user\" for=\"30s\"`, \
     or `swap \"shadow\" batches=1000`",
);

pub(crate) const ROLL_BACK: OptionSpec = OptionSpec::with_default(
    "roll-back",
    OptionKind::Block(&[
        OptionSpec::with_default(
            "faults",
            OptionKind::Integer { min: 0, max: 1_000_000 },
            "3",
            "Batches that the new version breaks on, and the old one does not, before it gives way; 0: never",
        ),
        OptionSpec::with_default(
            "within",
            OptionKind::Duration,
            "60s",
            "Time in which these faults must fall",
        ),
    ]),
    "",
    "When a new version gives way to the one before by itself",
);

pub(crate) const REPLAY: OptionSpec = OptionSpec::with_default(
    "replay",
    OptionKind::Block(&[OptionSpec::with_default(
        "batches",
        OptionKind::Integer { min: 0, max: 1000 },
        "8",
        "Batches kept for it; 0: none",
    )]),
    "",
    "The last batches, on which the next version is compared with this one before it takes over",
);

/// How the results of the new version count during its trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    Immediate,
    Canary { percent: u64, by: Option<String> },
    Shadow,
}

impl Mode {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Immediate => "immediate",
            Self::Canary { .. } => "canary",
            Self::Shadow => "shadow",
        }
    }
}

/// What the configuration says about replacing this interceptor.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// When the trial is over; None: only by batches.
    pub(crate) time: Option<Duration>,
    pub(crate) batches: Option<u64>,
    /// Faults that end it; None: none do.
    pub(crate) faults_max: Option<usize>,
    pub(crate) faults_within: Duration,
    pub(crate) replay_batches: usize,
}

impl Settings {
    /// Reads the options.
    ///
    /// # Errors
    /// A mode that is not known, or more than one.
    pub(crate) fn read(section: &Section) -> Result<Self, Diagnostics> {
        let roll_back = section.block("roll-back");
        let faults = roll_back.map_or(3, |roll_back| roll_back.count("faults"));
        let faults_within =
            roll_back.map_or(Duration::from_secs(60), |roll_back| roll_back.duration("within"));
        let replay_batches = section.block("replay").map_or(8, |replay| replay.count("batches"));
        let mut settings = Self {
            mode: Mode::Immediate,
            time: Some(faults_within),
            batches: None,
            faults_max: (faults > 0).then_some(faults),
            faults_within,
            replay_batches,
        };
        let swap = match section.blocks("swap") {
            [] => return Ok(settings),
            [swap] => swap,
            [_, again, ..] => {
                let reason = "`swap` is given twice";
                return Err(Diagnostic::error("config::repeated-option", again.span(), reason).into());
            }
        };
        settings.mode = match swap.name().unwrap_or("immediate") {
            "immediate" => return Ok(settings),
            "canary" => Mode::Canary {
                percent: u64::try_from(swap.integer("percent")).unwrap_or(0),
                by: swap.optional_text("by").map(str::to_owned),
            },
            "shadow" => Mode::Shadow,
            other => {
                let reason = format!("there is no way to swap called {other:?}");
                return Err(Diagnostic::error("config::invalid-value", swap.span(), reason)
                    .help("swap \"immediate\", swap \"canary\" percent=10, or swap \"shadow\"")
                    .into());
            }
        };
        settings.batches = swap.optional_integer("batches").and_then(|batches| u64::try_from(batches).ok());
        let default = settings.batches.is_none().then_some(TRIAL_TIME);
        settings.time = swap.optional_duration("for").or(default);
        Ok(settings)
    }

    /// Whether the old version is kept after the switch at all.
    pub(crate) fn has_trial(&self) -> bool {
        self.mode != Mode::Immediate || self.faults_max.is_some() && !self.faults_within.is_zero()
    }
}
