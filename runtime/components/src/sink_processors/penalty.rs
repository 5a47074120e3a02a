//! How long a member that failed is left alone: doubling from two seconds, as in Flume, up to a limit.
//!
//! Exact, without jitter, so that the order of members stays predictable. Every duration saturates.

use std::time::Duration;

use tokio::time::Instant;

const STEP: Duration = Duration::from_secs(1);

/// The state of one member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Penalty {
    failures: u32,
    until: Option<Instant>,
}

impl Penalty {
    /// How much longer it is left alone; None when it may be tried.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Counts a failure. `least` is what the member itself asked for.
    pub(super) fn failed(&mut self, now: Instant, longest: Duration, least: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        let pause = STEP.saturating_mul(2_u32.saturating_pow(self.failures)).min(longest);
        // An instant too far away to be represented cannot be waited for either.
        self.until = now.checked_add(pause.max(least.unwrap_or_default()));
    }

    /// Forgets the failures.
    pub(super) fn recovered(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Penalty;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_from_two_seconds_to_the_limit_and_never_overflow() {
        let (now, longest) = (Instant::now(), Duration::from_secs(30));
        let mut penalty = Penalty::default();
        assert_eq!(penalty.remaining(now), None);
        for expected in [2, 4, 8, 16, 30, 30] {
            penalty.failed(now, longest, None);
            assert_eq!(penalty.remaining(now), Some(Duration::from_secs(expected)));
        }
        for _ in 0..1000 {
            penalty.failed(now, longest, None);
            assert_eq!(penalty.remaining(now), Some(longest));
        }
        assert_eq!(penalty.remaining(now + longest), None);
        penalty.recovered();
        penalty.failed(now, longest, Some(Duration::from_secs(7)));
        assert_eq!(penalty.remaining(now), Some(Duration::from_secs(7)));
    }
}
