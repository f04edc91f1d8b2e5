//! What a call is about, read off the task's own words: a call never claims to have booked what it
//! was asked to cancel, or merely asked about. In doubt it claims nothing in particular.

use super::submission::{Category, Submission};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Intent {
    /// Reserve what the category is about: a table, an appointment, a room.
    Book,
    Cancel,
    Change,
    Ask,
    /// Anything else.
    Other,
}

#[rustfmt::skip]
const BOOK: &[&str] = &[
    "book", "reserve", "reserva", "reservar", "resérvame", "resérvanos",
];
/// Verbs that book only where something that can be booked is named.
#[rustfmt::skip]
const OBTAIN: &[&str] = &[
    "get", "make", "schedule", "arrange", "need", "want", "agenda", "agendar", "pide", "pedir", "concierta",
    "concertar", "coge", "coger", "solicita", "solicitar", "quiero", "necesito",
];
#[rustfmt::skip]
const CANCEL: &[&str] = &[
    "cancel", "annul", "cancela", "cancelar", "anula", "anular", "desmarca",
];
#[rustfmt::skip]
const CHANGE: &[&str] = &[
    "change", "move", "reschedule", "postpone", "modify", "rebook", "shift", "cambia", "cambiar", "mueve",
    "mover", "aplaza", "aplazar", "pospón", "posponer", "modifica", "modificar", "reprograma",
    "reprogramar",
];
#[rustfmt::skip]
const ASK: &[&str] = &[
    "ask", "find", "check", "inquire", "enquire", "confirm", "verify", "learn", "what", "when", "whether",
    "which", "who", "how", "do", "does", "is", "are", "pregunta", "preguntar", "pregúntales", "averigua",
    "averiguar", "consulta", "consultar", "confirma", "confirmar", "comprueba", "comprobar", "infórmate",
    "qué", "cuándo", "cuánto", "cuál", "cómo", "si", "hay",
];
/// Verbs of what is no booking, whatever else the task names.
#[rustfmt::skip]
const OTHER: &[&str] = &[
    "order", "complain", "tell", "say", "leave", "thank", "send", "pay", "remind", "pick", "deliver",
    "collect", "encarga", "encargar", "deja", "dejar", "di", "dile", "diles", "quéjate", "agradece",
    "envía", "paga", "recuerda", "recoge",
];
/// What is booked.
#[rustfmt::skip]
const THING: &[&str] = &[
    "table", "reservation", "booking", "appointment", "room", "check-up", "checkup", "visit", "mesa",
    "cita", "habitación", "habitacion", "revisión",
];
#[rustfmt::skip]
const NEGATION: &[&str] = &[
    "not", "don't", "dont", "don’t", "never", "without", "no", "sin", "nor", "ni",
];
/// Words by which a task may say when, or for how many.
#[rustfmt::skip]
const WHEN: &[&str] = &[
    "today", "tonight", "tomorrow", "noon", "midday", "midnight", "morning", "afternoon", "evening",
    "night", "lunch", "dinner", "breakfast", "brunch", "week", "weekend", "month", "next", "soon", "asap",
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february",
    "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "hoy", "mañana", "noche", "tarde", "mediodía", "medianoche", "comer", "cenar", "desayunar", "comida",
    "cena", "semana", "finde", "mes", "próximo", "próxima", "pronto", "lunes", "martes", "miércoles",
    "jueves", "viernes", "sábado", "domingo", "enero", "febrero", "marzo", "abril", "mayo", "junio",
    "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre", "una", "dos", "tres", "cuatro",
    "cinco", "seis", "siete", "ocho", "nueve", "diez", "once", "doce",
];

impl Intent {
    pub(super) fn of(submission: &Submission) -> Self {
        let words = words(submission.task());
        let kinds: Vec<_> = words.iter().filter_map(|word| kind(word, &words)).collect();
        let first = kinds.first().copied();
        if submission.category() == Category::General {
            return if first == Some(Self::Ask) { Self::Ask } else { Self::Other };
        }
        match first {
            _ if is_negated(&words) => Self::Other,
            // "Book a table and cancel the other one" is more than a table.
            Some(Self::Book) if kinds.iter().any(|kind| matches!(kind, Self::Cancel | Self::Change)) => {
                Self::Other
            }
            Some(Self::Ask) if asks_for_a_thing(&words) => Self::Book,
            Some(first) => first,
            None if has_any(&words, THING) || says_what_to_book(submission) => Self::Book,
            None => Self::Other,
        }
    }
}

/// Whether a task speaks of a time or of numbers, which the fields of the submission may lack.
pub(super) fn has_details(task: &str) -> bool {
    task.chars().any(|character| character.is_ascii_digit()) || has_any(&words(task), WHEN)
}

fn kind(word: &str, words: &[String]) -> Option<Intent> {
    let is_in = |listed: &[&str]| listed.contains(&word);
    Some(match () {
        () if is_in(BOOK) || is_in(OBTAIN) && has_any(words, THING) => Intent::Book,
        () if is_in(CANCEL) => Intent::Cancel,
        () if is_in(CHANGE) => Intent::Change,
        () if is_in(ASK) => Intent::Ask,
        () if is_in(OTHER) => Intent::Other,
        () => return None,
    })
}

/// Whether one of the words just before one that books is a negation.
fn is_negated(words: &[String]) -> bool {
    let first = words.iter().position(|word| kind(word, words) == Some(Intent::Book)).unwrap_or_default();
    has_any(&words[first.saturating_sub(2)..first], NEGATION)
}

/// "Ask for a table", and no "if" or "whether" in it.
fn asks_for_a_thing(words: &[String]) -> bool {
    let mut after = words.iter().skip_while(|word| *word != "ask").skip(1);
    after.next().is_some_and(|word| word == "for")
        && after.next().is_some_and(|word| word == "a" || word == "an")
        && after.next().is_some_and(|word| THING.contains(&word.as_str()))
}

fn says_what_to_book(submission: &Submission) -> bool {
    submission.party_size.is_some() || submission.date().is_some() || submission.time().is_some()
}

fn has_any(words: &[String], listed: &[&str]) -> bool {
    words.iter().any(|word| listed.contains(&word.as_str()))
}

/// The words of the beginning of a text, in lower case.
fn words(text: &str) -> Vec<String> {
    const MOST: usize = 200;
    let is_inside = |character: char| character.is_alphanumeric() || matches!(character, '\'' | '’' | '-');
    let words = text.split(|character| !is_inside(character)).filter(|word| !word.is_empty());
    words.take(MOST).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn intent(category: &str, task: &str) -> Intent {
        let submission = json!({"task_category": category, "task_description": task});
        Intent::of(&Submission::recall(&serde_json::value::to_raw_value(&submission).expect("JSON")))
    }

    #[test]
    fn a_task_is_what_its_words_say() {
        for (category, task, expected) in [
            ("restaurant", "Reserve a table for 4 at 8pm", Intent::Book),
            ("restaurant", "Book a table. Ask whether they have high chairs.", Intent::Book),
            ("restaurant", "Ask for a table by the window", Intent::Book),
            ("restaurant", "A table for two", Intent::Book),
            ("restaurant", "Reserva una mesa para cuatro", Intent::Book),
            ("clinic", "Pide cita para una revisión", Intent::Book),
            ("hotel", "Get a room with a view", Intent::Book),
            ("restaurant", "Ask for opening hours", Intent::Ask),
            ("restaurant", "Ask if a table is free", Intent::Ask),
            ("restaurant", "Do you have a terrace?", Intent::Ask),
            ("restaurant", "Pregunta el horario de apertura", Intent::Ask),
            ("hotel", "Find out whether they book airport shuttles", Intent::Ask),
            ("restaurant", "Cancel the reservation for Friday", Intent::Cancel),
            ("restaurant", "Cancela la reserva del viernes", Intent::Cancel),
            ("clinic", "Please cancel my appointment", Intent::Cancel),
            ("clinic", "Move my appointment to Monday", Intent::Change),
            ("clinic", "Cambia mi cita al lunes", Intent::Change),
            ("restaurant", "Do not book anything, only say hello", Intent::Other),
            ("restaurant", "Please don't book, say hello", Intent::Other),
            ("restaurant", "Book for Friday and cancel Saturday", Intent::Other),
            ("restaurant", "Get the opening hours", Intent::Other),
            ("restaurant", "Order a pizza for the table", Intent::Other),
            ("clinic", "I need an appointment", Intent::Book),
            ("restaurant", "Complain about the soup", Intent::Other),
            ("general", "Book a table", Intent::Other),
            ("general", "Cancel my membership", Intent::Other),
            ("general", "Ask for opening hours", Intent::Ask),
            ("restaurant", "", Intent::Other),
        ] {
            assert_eq!(intent(category, task), expected, "{category}: {task}");
        }
    }

    #[test]
    fn what_is_to_be_booked_may_stand_in_the_fields_alone() {
        let birthday = json!({
            "task_category": "restaurant", "task_description": "Ana's birthday", "party_size": 8,
        });
        let raw = serde_json::value::to_raw_value(&birthday).expect("JSON");
        assert_eq!(Intent::of(&Submission::recall(&raw)), Intent::Book);
    }

    #[test]
    fn details_are_numbers_and_times() {
        for task in ["at 8pm", "for four people", "Friday, please", "mañana por la noche"] {
            assert!(has_details(task), "{task}");
        }
        assert!(!has_details("Book a table by the window"));
    }
}
