//! How long to wait before asking again.

use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;

const FIRST: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// The wait before attempt `attempt + 1` (0 is the first): doubling from 0.25 s to 8 s, each drawn from its upper half
/// so that many clients do not come back together.
pub fn backoff(attempt: u32) -> Duration {
    let ceiling = FIRST.saturating_mul(1 << attempt.min(10)).min(MAX_BACKOFF);
    ceiling.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// A `Retry-After` header: seconds, or an HTTP date (RFC 9110, 10.2.3). A date that has passed means now.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = http_date(value)?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// A date as HTTP writes it.
pub fn http_date(value: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2027-01-28T20:00:00Z".parse().expect("a time");
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Thu, 28 Jan 2027 20:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Thu, 28 Jan 2027 19:00:00 GMT", now), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense:?}");
        }
    }

    #[test]
    fn the_wait_grows_and_stays_bounded() {
        for attempt in [0, 3, 5, 40, u32::MAX] {
            assert!(backoff(attempt) <= MAX_BACKOFF);
        }
        assert!(backoff(3) > backoff(0));
    }
}
