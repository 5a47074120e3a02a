//! Pauses between attempts: doubling, capped, with jitter so that many agents do not knock at once.

use std::time::Duration;

use rand::Rng;

/// The next pause after each failure.
#[derive(Debug, Clone)]
pub struct Backoff {
    initial: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts at `initial`, never exceeds `longest`.
    pub fn new(initial: Duration, longest: Duration) -> Self {
        Self { initial, longest, failures: 0 }
    }

    /// Counts a failure and returns how long to wait: between half of the doubled pause and all of it.
    pub fn failed(&mut self) -> Duration {
        let doubled = self.initial.saturating_mul(2_u32.saturating_pow(self.failures.min(31)));
        let pause = doubled.min(self.longest);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// How many failures in a row there were.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for expected in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.failed();
            assert!(pause <= Duration::from_millis(expected) && pause >= Duration::from_millis(expected / 2));
        }
        backoff.reset();
        assert!(backoff.failed() <= Duration::from_millis(100));
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for _ in 0..1000 {
            assert!(backoff.failed() <= Duration::from_secs(30));
        }
    }
}
