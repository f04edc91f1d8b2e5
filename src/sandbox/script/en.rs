//! The English script.

use jiff::civil::Time;

use super::facts::{Facts, Moment, Subject};
use super::talk::{Exchange, Report, Talk, Turn};
use crate::sandbox::scenario::Outcome;

pub(super) fn report(facts: &Facts, outcome: Outcome) -> Report {
    let phone = &facts.phone;
    let (highlights, next_steps) = match outcome {
        Outcome::Success => (success(facts), after_success(facts)),
        Outcome::NoAnswer => {
            (format!("Nobody answered at {phone}."), "Call again later, within opening hours.".to_owned())
        }
        Outcome::Busy => {
            (format!("The line of {phone} was busy."), "Call again in a few minutes.".to_owned())
        }
        Outcome::Failed => (
            format!("The call to {phone} could not be connected."),
            "Check the number, then call again.".to_owned(),
        ),
        Outcome::Voicemail => (
            format!("The voicemail of {phone} answered; a message was left."),
            "Wait to be called back, or call again later.".to_owned(),
        ),
        Outcome::Cancelled => (
            format!("The call to {phone} was cancelled before anyone answered."),
            "Place the call again if it is still wanted.".to_owned(),
        ),
    };
    Report { title: title(facts), highlights, next_steps }
}

fn title(facts: &Facts) -> String {
    let (people, at) = (for_people(facts), at(facts));
    match facts.subject {
        Subject::Table => format!("Table{people}{at}"),
        Subject::Visit => format!("Appointment{at}"),
        Subject::Room => format!("Room{people}{at}"),
        _ => facts.task.trim_end_matches('.').to_owned(),
    }
}

fn success(facts: &Facts) -> String {
    let (name, task) = (&facts.name, &facts.task);
    let (people, at, when) = (for_people(facts), at(facts), behind(", ", facts.agreed));
    let done = match facts.subject {
        Subject::Table => format!("Table{people} booked{at}{when}, under the name {name}."),
        Subject::Visit => format!("Appointment made{at} for {name}{when}."),
        Subject::Room => {
            let arriving = behind(", arriving ", facts.agreed);
            format!("Room{people} booked{at}{arriving}, under the name {name}.")
        }
        Subject::Cancelling => return format!("Cancelled{at}{people}{when}: {task}"),
        Subject::Changing => return format!("Changed{at}{people}{when}: {task}"),
        Subject::Asking => return format!("Answered{at}{people}{when}: {task}"),
        Subject::Other if facts.agreed.is_empty() => return format!("Done{at}{people}: {task}"),
        Subject::Other => return format!("Agreed{at}{people}{when}: {task}"),
    };
    if facts.tells_task { format!("{done} As asked: {task}") } else { done }
}

fn after_success(facts: &Facts) -> String {
    let phone = &facts.phone;
    match facts.subject {
        Subject::Table => format!("To change or cancel the table, call {phone}."),
        Subject::Visit => "Be there ten minutes early, with an identity card.".to_owned(),
        Subject::Room => format!("To change or cancel the room, call {phone}."),
        _ => format!("Nothing is left to do; for questions, call {phone}."),
    }
}

pub(super) fn talk(facts: &Facts) -> Talk {
    let name = &facts.name;
    let greeting = match &facts.business {
        Some(business) => format!("{business}, hello. How can I help you?"),
        None => "Hello, how can I help you?".to_owned(),
    };
    Talk {
        greeting,
        request: format!(
            "Hello, this is an AI assistant calling on behalf of {name}. {}{}",
            request(facts),
            if facts.is_urgent { " It is urgent." } else { "" },
        ),
        offer: offer(facts),
        preference: facts.preference.as_ref().map(|preference| Exchange {
            ai: format!("As for the time, they also told me: {preference}"),
            human: "Good to know. I will keep that in mind.".to_owned(),
        }),
        instructions: facts.instructions.as_ref().map(|instructions| Exchange {
            ai: format!("They also asked me to mention: {instructions}"),
            human: "Noted, we will take care of it.".to_owned(),
        }),
        name: match &facts.user_phone {
            Some(phone) => format!("Wonderful. The name is {name}, and the number {phone}."),
            None => format!("Wonderful. The name is {name}."),
        },
        confirmation: confirmation(facts),
        thanks: "Thank you very much for your help. Goodbye.".to_owned(),
        goodbye: "Thank you for calling. Goodbye.".to_owned(),
    }
}

fn request(facts: &Facts) -> String {
    let (people, when, task) = (for_people(facts), behind(", ", facts.asked), &facts.task);
    let request = match facts.subject {
        Subject::Table => format!("I would like to book a table{people}{when}, please."),
        Subject::Visit => format!("I would like to make an appointment{people}{when}, if possible."),
        Subject::Room => {
            let arriving = behind(", arriving ", facts.asked);
            format!("I would like to book a room{people}{arriving}, please.")
        }
        _ => {
            let details: Vec<_> = people_of(facts).into_iter().chain(when_of(facts.asked)).collect();
            return match details.is_empty() {
                true => format!("It is about this: {task}"),
                false => format!("It is about this: {task} That is: {}.", details.join(", ")),
            };
        }
    };
    if facts.tells_task { format!("{request} In their words: {task}") } else { request }
}

fn offer(facts: &Facts) -> String {
    let people = for_people(facts);
    let slot = facts.offered();
    match facts.subject {
        Subject::Table if slot.date.is_none() => {
            format!("One moment, let me look. Yes, I have a table{people}{}.", behind(" ", slot))
        }
        Subject::Table => {
            format!("One moment, let me look. Yes, I have a table{people}{}.", behind(", ", slot))
        }
        Subject::Visit => match when_of(slot) {
            Some(when) => format!("Let me look at the calendar. There is one {when}."),
            None => "Let me look at the calendar. Yes, that is possible.".to_owned(),
        },
        Subject::Room if facts.asked.date.is_some() => {
            format!("Let me check. Yes, we have a room{people} that night.")
        }
        Subject::Room => format!("Let me check. Yes, we have a room{people}{}.", behind(", ", slot)),
        Subject::Cancelling => "One moment, let me look. Yes, I have found it.".to_owned(),
        Subject::Changing => "One moment, let me look. Yes, that can be changed.".to_owned(),
        Subject::Asking => "One moment, let me check. Yes, I can tell you that.".to_owned(),
        Subject::Other => "One moment, let me check. Yes, that can be done.".to_owned(),
    }
}

fn confirmation(facts: &Facts) -> String {
    let (name, people, when) = (&facts.name, for_people(facts), behind(", ", facts.agreed));
    match facts.subject {
        Subject::Table => format!("Then a table{people}{when}, for {name}. Done."),
        Subject::Visit => format!("Then {name}{people}{when}. Please come ten minutes early."),
        Subject::Room => {
            format!("Then a room{people}{}, for {name}. Done.", behind(", arriving ", facts.agreed))
        }
        Subject::Cancelling => format!("Very well, {name}. It is cancelled."),
        Subject::Changing => format!("Very well, {name}. It is changed."),
        Subject::Asking => format!("With pleasure, {name}. That is everything."),
        Subject::Other => format!("Very well, {name}{}. All set.", behind(": ", facts.agreed)),
    }
}

pub(super) fn message(facts: &Facts) -> Vec<Turn> {
    let (name, task) = (&facts.name, &facts.task);
    let whose = facts.business.as_ref().unwrap_or(&facts.phone);
    let number = match &facts.user_phone {
        Some(phone) => format!(" at {phone}"),
        None => String::new(),
    };
    vec![
        Turn::Human(format!("This is the voicemail of {whose}. Please leave a message after the tone.")),
        Turn::Ai(format!(
            "Hello, this is an AI assistant calling on behalf of {name}. It is about this: \
             {task} Please call {name} back{number}. Thank you, goodbye."
        )),
    ]
}

fn at(facts: &Facts) -> String {
    let business = facts.business.iter();
    business.map(|business| format!(" at {business}")).collect()
}

fn people_of(facts: &Facts) -> Option<String> {
    facts.people.map(|count| if count == 1 { "1 person".to_owned() } else { format!("{count} people") })
}

fn for_people(facts: &Facts) -> String {
    people_of(facts).map(|people| format!(" for {people}")).unwrap_or_default()
}

/// The moment with this before it, or nothing.
fn behind(start: &str, moment: Moment) -> String {
    when_of(moment).map(|when| format!("{start}{when}")).unwrap_or_default()
}

fn when_of(moment: Moment) -> Option<String> {
    let date = moment.date.map(|date| date.strftime("%A, %B %-d").to_string());
    let time = moment.time.map(time);
    let parts: Vec<_> = date.into_iter().chain(time).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn time(time: Time) -> String {
    time.strftime("at %-I:%M %p").to_string()
}
