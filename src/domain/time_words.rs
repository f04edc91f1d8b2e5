//! Times of day as people say them.

use std::ops::RangeInclusive;

use super::{Invalid, quoted};

const HOW: &str = "write HH:MM on the 24-hour clock, for example 20:00 for 8 pm; \"in the evening\" or a span is a time preference";

/// The two halves of the 12-hour clock.
#[derive(Clone, Copy)]
enum Half {
    Am,
    Pm,
}

/// Hour and minute of `20:00`, `8:30`, `8pm`, `8:30 p.m.`, `20h`, `20h30`, `noon` or `mediodía`. `12pm` is noon and `12am`
/// is 00:00.
///
/// # Errors
/// When it is no time of day, or could be two: `8` may be morning or evening, `midnight` begins one day and ends another.
pub fn parse(text: &str) -> Result<(u8, u8), Invalid> {
    let said = super::comparable(text);
    match said.as_str() {
        "noon" | "midday" | "mediodía" | "mediodia" => return Ok((12, 0)),
        "midnight" | "medianoche" => {
            return Err(Invalid::new(
                format!("{} belongs to two days", quoted(text)),
                "write 00:00 for the first minute of the day, or 23:59 for its last",
            ));
        }
        _ => {}
    }
    if let Some(hour) = hour(&said).filter(|hour| *hour < 24) {
        return Err(bare_hour(text, hour));
    }
    if let Some(time) = time_of_day(&said).or_else(|| in_words(&said)) {
        return Ok(time);
    }
    let digits = said.split_at_checked(2).filter(|_| said.len() == 4);
    let meant = digits.and_then(|(hours, minutes)| time_of_day(&format!("{hours}:{minutes}")));
    let hint = meant.map_or(HOW.into(), |(hour, minute)| format!("did you mean {hour:02}:{minute:02}?"));
    Err(Invalid::new(format!("{} is not a time of day", quoted(text)), hint))
}

/// The time that a clock's digits, with or without a half of the day behind them, say beyond doubt.
fn time_of_day(said: &str) -> Option<(u8, u8)> {
    let (clock, half) = split_half(said);
    let (hour, minute) = hour_and_minute(clock.trim_end(), half.is_some())?;
    let hour = match half {
        None => Some(hour).filter(|hour| *hour < 24),
        Some(half) => Some(hour)
            .filter(|hour| (1..=12).contains(hour))
            .map(|hour| hour % 12 + if matches!(half, Half::Pm) { 12 } else { 0 }),
    };
    Some((hour?, minute))
}

/// The time with words around it, or a dot in it: `8.30pm`, `a las 20:30`, `8 in the evening`, `8 de la tarde`, `20 horas`.
fn in_words(said: &str) -> Option<(u8, u8)> {
    // Twelve is left out: at night it may be either end of a day, and `12 de la mañana` is noon.
    const PARTS: [(&str, &str, RangeInclusive<u8>); 9] = [
        (" in the morning", "am", 1..=11),
        (" in the afternoon", "pm", 1..=6),
        (" in the evening", "pm", 4..=11),
        (" at night", "pm", 7..=11),
        (" tonight", "pm", 5..=11),
        (" de la madrugada", "am", 1..=6),
        (" de la mañana", "am", 1..=11),
        (" de la tarde", "pm", 1..=9),
        (" de la noche", "pm", 7..=11),
    ];
    let said =
        ["at ", "a las ", "a la ", "las "].iter().find_map(|word| said.strip_prefix(word)).unwrap_or(said);
    let part = PARTS.iter().find_map(|(words, half, hours)| Some((said.strip_suffix(words)?, *half, hours)));
    let (clock, half) = match part {
        Some((clock, half, hours)) => {
            let hour = clock.split([':', '.']).next().and_then(hour)?;
            hours.contains(&hour).then_some((clock, half))?
        }
        None => {
            let (clock, half) = split_half(said);
            (clock.trim_end(), said.strip_prefix(clock).filter(|_| half.is_some()).unwrap_or_default().trim())
        }
    };
    let clock = match clock.strip_suffix(" horas") {
        Some(hours) => format!("{hours}h"),
        None => clock.replacen('.', ":", 1),
    };
    time_of_day(&format!("{clock}{half}"))
}

/// Takes `am` or `pm` off the end, with or without dots.
fn split_half(said: &str) -> (&str, Option<Half>) {
    const HALVES: [(&str, Half); 8] = [
        ("a.m.", Half::Am),
        ("p.m.", Half::Pm),
        ("a. m.", Half::Am),
        ("p. m.", Half::Pm),
        ("a.m", Half::Am),
        ("p.m", Half::Pm),
        ("am", Half::Am),
        ("pm", Half::Pm),
    ];
    HALVES
        .iter()
        .find_map(|(ending, half)| Some((said.strip_suffix(ending)?, Some(*half))))
        .unwrap_or((said, None))
}

/// `8:30`, `8:30h`, `20h`, `20h30`; with `am` or `pm` behind it the hour alone as well.
fn hour_and_minute(clock: &str, has_half: bool) -> Option<(u8, u8)> {
    if has_half {
        return match clock.split_once(':') {
            Some((hours, minutes)) => Some((hour(hours)?, minute(minutes)?)),
            None => Some((hour(clock)?, 0)),
        };
    }
    let without_h = clock.strip_suffix('h').map(str::trim_end);
    match without_h.unwrap_or(clock).split_once([':', 'h']) {
        Some((hours, minutes)) => Some((hour(hours)?, minute(minutes)?)),
        None => Some((hour(without_h?)?, 0)),
    }
}

fn hour(digits: &str) -> Option<u8> {
    number(digits, 1..=2)
}

fn minute(digits: &str) -> Option<u8> {
    number(digits, 2..=2).filter(|minute| *minute < 60)
}

/// A number of so many digits.
pub(super) fn number(digits: &str, length: RangeInclusive<usize>) -> Option<u8> {
    let is_number = length.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// An hour that nobody said the half of the day of.
fn bare_hour(text: &str, hour: u8) -> Invalid {
    let how = match hour {
        1..=11 => format!("write {hour:02}:00 for the morning, or {:02}:00 for {hour} pm", hour + 12),
        0 | 12.. => format!("write {hour:02}:00"),
    };
    Invalid::new(format!("{} does not say which time of day", quoted(text)), how)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_taken_as_people_say_it() {
        for (said, time) in [
            ("20:00", (20, 0)),
            ("00:05", (0, 5)),
            ("8:30", (8, 30)),
            ("8pm", (20, 0)),
            ("8 PM", (20, 0)),
            ("8:30 pm", (20, 30)),
            ("8:30 p.m.", (20, 30)),
            ("8:30 a. m.", (8, 30)),
            ("12pm", (12, 0)),
            ("12am", (0, 0)),
            ("12:30am", (0, 30)),
            ("12:30 pm", (12, 30)),
            ("11\u{a0}am", (11, 0)),
            ("20h", (20, 0)),
            ("8h", (8, 0)),
            ("20h30", (20, 30)),
            ("20:30 h", (20, 30)),
            ("noon", (12, 0)),
            ("Mediodi\u{301}a", (12, 0)),
        ] {
            assert_eq!(parse(said), Ok(time), "{said:?}");
        }
    }

    #[test]
    fn what_may_be_two_times_is_refused_with_both() {
        assert_eq!(parse("8").expect_err("8").hint(), "write 08:00 for the morning, or 20:00 for 8 pm");
        assert_eq!(parse("20").expect_err("20").hint(), "write 20:00");
        assert!(parse("midnight").expect_err("midnight").hint().contains("00:00"));
    }

    #[test]
    fn a_time_is_taken_with_words_around_it_and_four_digits_are_asked_back() {
        for (said, time) in [
            ("8.30pm", (20, 30)),
            ("8.30 p.m.", (20, 30)),
            ("8.30", (8, 30)),
            ("20.30", (20, 30)),
            ("at 8pm", (20, 0)),
            ("a las 20:30", (20, 30)),
            ("20 horas", (20, 0)),
            ("8 in the evening", (20, 0)),
            ("8 de la tarde", (20, 0)),
            ("8:30 de la mañana", (8, 30)),
            ("Las 9 de la noche", (21, 0)),
        ] {
            assert_eq!(parse(said), Ok(time), "{said}");
        }
        assert_eq!(parse("2030").expect_err("2030").hint(), "did you mean 20:30?");
        for said in [
            "12 de la noche",
            "12 de la mañana",
            "8 at night-ish",
            "25.30",
            "2460",
            "20 de la tarde",
            "at 8",
            "8.3",
        ] {
            assert_eq!(parse(said).expect_err(said).hint(), HOW, "{said}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for said in [
            "",
            "24:00",
            "20:60",
            "20:00:00",
            "+1:00",
            "20:0a",
            "8:3",
            "13pm",
            "0am",
            "20:00pm",
            "2000",
            "pm",
            "h",
            "8h3",
            "8h30pm",
            "8:30hh",
            "half past eight",
            "８pm:",
            "-8:00",
            "8 30",
            "123:00",
        ] {
            assert!(parse(said).is_err(), "{said:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_breaks_the_parser(text in "\\PC{0,12}") {
            if let Ok((hour, minute)) = parse(&text) {
                prop_assert!(hour < 24 && minute < 60);
            }
        }

        #[test]
        fn every_way_to_write_a_time_means_the_same(hour in 0u8..24, minute in 0u8..60, spaced: bool, upper: bool) {
            let gap = if spaced { " " } else { "" };
            let half = if hour < 12 { "am" } else { "pm" };
            let twelve = (hour + 11) % 12 + 1;
            for said in [
                format!("{hour}:{minute:02}"),
                format!("{hour:02}:{minute:02}"),
                format!("{hour}h{minute:02}"),
                format!("{hour}:{minute:02}{gap}h"),
                format!("{twelve}:{minute:02}{gap}{half}"),
                format!("{twelve:02}:{minute:02}{gap}{half}"),
            ] {
                let said = if upper { said.to_uppercase() } else { said };
                prop_assert_eq!(parse(&said), Ok((hour, minute)), "{}", said);
            }
        }
    }
}
