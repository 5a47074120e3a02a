//! The `log` interface: a guest's lines in the agent's own log.
//!
//! Nothing from a guest reaches a terminal as it is: control characters are escaped, long lines cut, and lines
//! over the quota only counted.

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wasmtime::{StoreContextMut, component::Linker};

use crate::{
    bindings::{
        Header, Level,
        interface::{self, Version},
    },
    metrics::PluginMetrics,
    state::GuestState,
};

/// Longest line that is written; the rest is cut.
const LINE_BYTES_MAX: usize = 2048;

/// Lines of a guest's own backtrace that are kept.
const BACKTRACE_LINES_MAX: usize = 32;

/// Fields of a line that are written.
const FIELDS_MAX: usize = 16;

/// Who writes, and the quota all its instances share.
pub(crate) struct LogSource {
    pub(crate) plugin: String,
    pub(crate) component: String,
    pub(crate) generation: u64,
    pub(crate) lines_max: u32,
    pub(crate) metrics: PluginMetrics,
    pub(crate) window: Mutex<Window>,
}

/// The second under way.
#[derive(Default)]
pub(crate) struct Window {
    start: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

/// The log of one instance.
pub(crate) struct GuestLog {
    source: Arc<LogSource>,
    lane: u32,
    /// The last line of level `error`: what a panic said before it became a bare trap.
    pub(crate) last_error: Option<String>,
    /// The field `backtrace` of that line: where a guest that runs code of its own was in it.
    pub(crate) last_backtrace: Option<String>,
}

impl GuestLog {
    pub(crate) fn new(source: Arc<LogSource>, lane: u32) -> Self {
        Self { source, lane, last_error: None, last_backtrace: None }
    }

    /// Whether the line was written.
    fn emit(&mut self, level: Level, text: &str, fields: &[Header]) -> bool {
        if level == Level::Error {
            self.last_error = Some(escaped(text, LINE_BYTES_MAX));
            let backtrace = fields.iter().find(|(name, _)| name == "backtrace");
            self.last_backtrace = backtrace.map(|(_, text)| backtrace_of(text));
        }
        if !enabled(level) {
            return false;
        }
        let (allowed, suppressed) = self.source.window.lock().admit(Instant::now(), self.source.lines_max);
        if suppressed > 0 {
            let source = &self.source;
            tracing::warn!(target: "plugin", plugin = source.plugin, component = source.component,
                generation = source.generation, suppressed, lines_max = source.lines_max,
                "lines over the quota were not written");
        }
        if allowed {
            self.write(level, text, fields);
        } else {
            self.source.metrics.log_lines_suppressed.inc();
        }
        allowed
    }

    /// What a guest prints instead of logging; blank text is left out.
    pub(crate) fn print(&mut self, level: Level, text: &str) {
        let text = text.trim_end();
        if !text.is_empty() {
            self.emit(level, text, &[]);
        }
    }

    fn write(&self, level: Level, text: &str, fields: &[Header]) {
        let mut line = escaped(text, LINE_BYTES_MAX);
        for (name, value) in fields.iter().take(FIELDS_MAX) {
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            let _ = write!(line, " {}={:?}", escaped(name, room), escaped(value, room));
        }
        let LogSource { plugin, component, generation, .. } = &*self.source;
        let lane = self.lane;
        match level {
            Level::Trace => tracing::trace!(target: "plugin", plugin, component, generation, lane, "{line}"),
            Level::Debug => tracing::debug!(target: "plugin", plugin, component, generation, lane, "{line}"),
            Level::Info => tracing::info!(target: "plugin", plugin, component, generation, lane, "{line}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, component, generation, lane, "{line}"),
            Level::Error => tracing::error!(target: "plugin", plugin, component, generation, lane, "{line}"),
        }
    }
}

impl Window {
    /// Whether one more line may be written, and how many were not in the second that has just ended.
    fn admit(&mut self, now: Instant, lines_max: u32) -> (bool, u64) {
        let mut suppressed = 0;
        if self.start.is_none_or(|start| now.duration_since(start) >= Duration::from_secs(1)) {
            suppressed = std::mem::take(&mut self.suppressed);
            self.start = Some(now);
            self.lines = 0;
        }
        self.lines = self.lines.saturating_add(1);
        let allowed = self.lines <= lines_max;
        if !allowed {
            self.suppressed += 1;
        }
        (allowed, suppressed)
    }
}

/// A guest's own list of functions, one a line.
fn backtrace_of(text: &str) -> String {
    let lines = text.lines().take(BACKTRACE_LINES_MAX).map(|line| escaped(line, 256));
    lines.collect::<Vec<_>>().join("\n")
}

fn enabled(level: Level) -> bool {
    match level {
        Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
        Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
    }
}

/// Text of a guest on one line and without anything that moves a cursor or turns the reading direction.
pub(crate) fn escaped(text: &str, bytes_max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(bytes_max) + 4);
    for character in text.chars() {
        if line.len() + 4 > bytes_max {
            line.push('…');
            break;
        }
        let turns =
            matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if character.is_control() || turns {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

pub(super) fn add_to_linker(linker: &mut Linker<GuestState>, version: Version) -> wasmtime::Result<()> {
    let mut log = linker.instance(&version.of(interface::LOG))?;
    log.func_wrap("enabled", |_: StoreContextMut<'_, GuestState>, (level,): (Level,)| Ok((enabled(level),)))?;
    type Line = (Level, String, Vec<Header>);
    type Cx<'a> = StoreContextMut<'a, GuestState>;
    match version {
        Version::V0_1 => log.func_wrap("emit", |mut cx: Cx<'_>, (level, text, fields): Line| {
            cx.data_mut().log.emit(level, &text, &fields);
            Ok(())
        }),
        Version::V0_2 => log.func_wrap("emit", |mut cx: Cx<'_>, (level, text, fields): Line| {
            Ok((cx.data_mut().log.emit(level, &text, &fields),))
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Window, escaped};

    #[test]
    fn control_characters_and_direction_marks_are_escaped() {
        assert_eq!(escaped("\u{1b}[31m\r\nä\u{202e}x\0", 100), "\\u{1b}[31m\\r\\nä\\u{202e}x\\u{0}");
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        assert_eq!(escaped("ääääääää", 10), "ääää…");
        assert_eq!(escaped("", 10), "");
        assert_eq!(escaped("abc", 0), "…");
    }

    #[test]
    fn lines_over_the_quota_are_counted_and_reported_in_the_next_second() {
        let mut window = Window::default();
        let start = Instant::now();
        let answers: Vec<_> = (0..5).map(|_| window.admit(start, 3)).collect();
        assert_eq!(answers, [(true, 0), (true, 0), (true, 0), (false, 0), (false, 0)]);
        assert_eq!(window.admit(start + Duration::from_secs(1), 3), (true, 2));
        assert_eq!(window.admit(start + Duration::from_secs(2), 3), (true, 0));
    }
}
