//! A rate as it is written in the configuration: `100/s burst 500`, or `off`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use governor::Quota;
use serde::Deserialize;

/// How often something may be done.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Rate {
    /// As often as anybody likes.
    Off,
    /// A bucket that holds `burst` requests and gets `count` new ones in each `unit`.
    Limited {
        /// How many come back in a unit.
        count: NonZeroU32,
        /// Over how long.
        unit: Unit,
        /// How many may be made at once.
        burst: NonZeroU32,
    },
}

/// The time that a count is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Unit {
    const fn length(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_mins(1),
            Self::Hour => Duration::from_hours(1),
        }
    }
}

impl Rate {
    /// So many a second, and so many at once. `Off` where one of them is 0.
    pub(crate) fn per_second(count: u32, burst: u32) -> Self {
        match (NonZeroU32::new(count), NonZeroU32::new(burst)) {
            (Some(count), Some(burst)) => Self::Limited {
                count,
                unit: Unit::Second,
                burst,
            },
            _ => Self::Off,
        }
    }

    /// The same for the limiter; `None` for no limit.
    pub(crate) fn quota(self) -> Option<Quota> {
        match self {
            Self::Off => None,
            Self::Limited { count, unit, burst } => {
                let each = unit.length() / count.get();
                Some(Quota::with_period(each)?.allow_burst(burst))
            }
        }
    }

    /// How many may be made at once; 0 for no limit.
    pub(crate) fn burst(self) -> u32 {
        match self {
            Self::Off => 0,
            Self::Limited { burst, .. } => burst.get(),
        }
    }

    /// How long an empty bucket takes to be full, in whole seconds.
    pub(crate) fn window(self) -> u64 {
        match self {
            Self::Off => 0,
            Self::Limited { count, unit, burst } => {
                let all = unit.length().as_secs() * u64::from(burst.get());
                all.div_ceil(u64::from(count.get())).max(1)
            }
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no rate: write 100/s, 100/s burst 500, 60/m, 1000/h, or off; both numbers are 1 to 1000000"
            )
        };
        let number = |text: &str| {
            let number = text.parse::<NonZeroU32>().ok();
            number.filter(|n| n.get() <= 1_000_000).ok_or_else(wrong)
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let (rate, burst) = match words.as_slice() {
            ["off"] => return Ok(Self::Off),
            [rate] => (rate, None),
            [rate, "burst", burst] => (rate, Some(number(burst)?)),
            _ => return Err(wrong()),
        };
        let (count, unit) = rate.split_once('/').ok_or_else(wrong)?;
        let unit = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return Err(wrong()),
        };
        let count = number(count)?;
        Ok(Self::Limited {
            count,
            unit,
            burst: burst.unwrap_or(count),
        })
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// As it is written, so that settings print in one line each.
impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Limited { count, unit, burst } => {
                let unit = match unit {
                    Unit::Second => 's',
                    Unit::Minute => 'm',
                    Unit::Hour => 'h',
                };
                write!(f, "{count}/{unit} burst {burst}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        assert_eq!("100/s burst 500".parse(), Ok(Rate::per_second(100, 500)));
        assert_eq!("7/s".parse(), Ok(Rate::per_second(7, 7)));
        assert_eq!("off".parse(), Ok(Rate::Off));
        for text in ["60/m burst 90", "5/h burst 1", "1/s burst 1"] {
            assert_eq!(
                text.parse::<Rate>().map(|r| r.to_string()).as_deref(),
                Ok(text)
            );
        }
        for bad in [
            "",
            "100",
            "0/s",
            "-1/s",
            "1/d",
            "1/s burst",
            "1/s burst 0",
            "1/s burst 1 more",
            "1.5/s",
            "2000000/s",
            "OFF",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_window_is_how_long_the_burst_takes_to_come_back() {
        let window = |text: &str| text.parse::<Rate>().expect("a rate").window();
        assert_eq!(window("100/s burst 500"), 5);
        assert_eq!(window("60/m burst 90"), 90);
        assert_eq!(window("1000/s burst 1"), 1);
        assert_eq!(window("off"), 0);
    }
}
