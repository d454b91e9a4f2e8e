//! Times as token servers write them
//! ([RFC 3339, section 5.6](https://www.rfc-editor.org/rfc/rfc3339#section-5.6)).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads `2026-01-31T23:59:59.123Z` or the same with an offset, to the second.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        let all = digits.bytes().all(|b| b.is_ascii_digit());
        all.then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let shaped = separators
        .iter()
        .all(|&(at, byte)| text.as_bytes()[at] == byte);
    if !shaped || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone = text
        .get(19..)?
        .trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let local = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = u64::try_from(local - offset_seconds(zone)?).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let hours: u8 = hours.parse().ok()?;
    let minutes: u8 = minutes.parse().ok()?;
    Some(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March so
/// that the leap day is a year's last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(text: &str) -> Option<u64> {
        Some(parse(text)?.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn reads_times() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2009-11-10T23:00:00Z"), Some(1_257_894_000));
        assert_eq!(
            seconds("2024-02-29T12:34:56.789+02:00"),
            Some(1_709_202_896)
        );
        for text in [
            "",
            "yesterday",
            "2009-13-10T23:00:00Z",
            "2009-11-10T23:00:00",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}") {
            parse(&text);
        }

        #[test]
        fn agrees_with_http_dates(at in 0_u64..4_000_000_000) {
            let time = UNIX_EPOCH + Duration::from_secs(at);
            let date = httpdate::fmt_http_date(time);
            let months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
            let month = months.find(&date[8..11]).unwrap() / 4 + 1;
            let text = format!("{}-{month:02}-{}T{}Z", &date[12..16], &date[5..7], &date[17..25]);
            prop_assert_eq!(parse(&text), Some(time));
        }
    }
}
