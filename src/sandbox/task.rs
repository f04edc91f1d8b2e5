//! Classifies a task as a booking, a question or another request. When in doubt, it is a request:
//! the story then repeats the user's words, so the result can't contradict the task.

use super::submission::Submission;

pub(super) struct Task {
    /// `booking` (a table, an appointment or a room on some day), `question` or `other`.
    pub(super) subject: &'static str,
    /// The topic of the task's question, if there is one. It selects the answer.
    pub(super) topic: Option<&'static str>,
    /// The clause after "whether", such as "they sell bagels" in "Ask whether they sell bagels and
    /// what they cost".
    pub(super) clause: Option<String>,
    /// The text after "ask", such as "what they cost" in "Ask what they cost".
    pub(super) asked: Option<String>,
}

const BOOK: &str = "book reserve make get schedule reserva reservar haz hacer pide pedir";
const ASK: &str = "ask find check pregunta preguntar averigua averiguar comprueba comprobar";
const CONJUNCTIONS: &str = "whether if si";
const QUESTION_WORDS: &str = "whether if what when where which who how why about the \
    si qué que cuál cuándo cuando cuánto cuanto dónde donde quién cómo por el la los las";
/// A clause with one of these words is about the user and can't be repeated as an answer: "Yes, I
/// can bring my dog".
const FIRST_PERSON: &str =
    "i i'm me my we us our mi mis me nos nuestro nuestra puedo podemos tengo";

/// Topics of questions, each with the beginnings of the words that indicate it.
const TOPICS: [(&str, &str); 5] = [
    (
        "wait",
        "how long,how much time,cuánto tiempo,cuanto tiempo,cuánto tard",
    ),
    ("price", "price,cost,how much,precio,cuest,cuánto,cuanto"),
    (
        "hours",
        "open,clos,hour,what time,when,abr,abier,cierr,horari,hora,cuándo",
    ),
    ("place", "where,address,dónde,donde,direcci"),
    (
        "help",
        "what,which,who,how,why,about,qué,cuál,quién,cómo,por",
    ),
];

impl Task {
    pub(super) fn of(submission: &Submission) -> Self {
        let text = submission.task_description.trim();
        let original: Vec<&str> = text.split_whitespace().collect();
        let lower = text.to_lowercase();
        let words: Vec<&str> = lower.split_whitespace().map(trim_punctuation).collect();
        let word = |n: usize| words.get(n).copied().unwrap_or_default();
        let topic = topic(&words.join(" "));
        let is_about = |n| word(n) == "for" && topic.is_some_and(|topic| topic != "help");
        // The position of "if" in "ask if", "ask them if" or "find out if".
        let question_word = (1..words.len()).find(|n| {
            let has_asked = is_in(word(n - 1), ASK) || is_in(word(n.saturating_sub(2)), ASK);
            has_asked && (is_in(word(*n), QUESTION_WORDS) || is_about(*n))
        });
        let has_mark = text.ends_with('?');
        let is_question = question_word.is_some_and(|n| n <= 2)
            || has_mark && !text.contains(". ") && !is_in(word(0), BOOK);
        let is_thing = |word: &&str| !word.is_empty() && is_in(word, things(submission));
        let is_booking = is_in(word(0), BOOK) && words.iter().any(is_thing);
        let conjunction = question_word.filter(|n| is_in(word(*n), CONJUNCTIONS));
        let clause = conjunction.map(|n| clause(&original[n + 1..].join(" ")));
        let clause = clause.filter(|clause| !is_about_user(clause));
        let topic = match topic {
            _ if clause.is_some() => "clause",
            _ if conjunction.is_some() => "yes",
            Some(topic) => topic,
            None if has_mark => "yes",
            None => "help",
        };
        Self {
            subject: match submission.date() {
                _ if is_question => "question",
                Some(_) if is_booking => "booking",
                _ => "other",
            },
            topic: (question_word.is_some() || has_mark).then_some(topic),
            clause,
            asked: is_in(word(0), "ask pregunta").then(|| original[1..].join(" ")),
        }
    }
}

/// Returns the words for things that can be booked. A task without one of them is not a booking.
fn things(submission: &Submission) -> &'static str {
    match &*submission.task_category {
        "restaurant" => "table mesa",
        "clinic" => "appointment cita",
        "hotel" => "room habitación",
        _ => "",
    }
}

fn topic(words: &str) -> Option<&'static str> {
    let words = format!(" {words}");
    let occurs = |beginning: &str| words.contains(&format!(" {beginning}"));
    let mut topics = TOPICS.into_iter();
    let found = topics.find(|(_, beginnings)| beginnings.split(',').any(occurs));
    found.map(|(topic, _)| topic)
}

/// Returns the first clause of a text.
fn clause(mut text: &str) -> String {
    for end in [",", ";", "?", ". ", " and ", " or ", " y ", " o "] {
        text = text.split(end).next().unwrap_or(text);
    }
    text.trim_end_matches('.').to_owned()
}

fn is_about_user(clause: &str) -> bool {
    let lower = clause.to_lowercase();
    let mut words = lower.split_whitespace().map(trim_punctuation);
    lower.is_empty() || words.any(|word| is_in(word, FIRST_PERSON))
}

/// Removes the punctuation around a word.
fn trim_punctuation(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn is_in(word: &str, list: &str) -> bool {
    list.split(' ').any(|item| item == word)
}
