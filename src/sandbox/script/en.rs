//! The English script.

use jiff::civil::DateTime;

use super::{Exchange, Facts, Outcome, Talk, Telling, Turn};
use crate::sandbox::submission::Category;

pub(super) fn tell(facts: &Facts, outcome: Outcome) -> Telling {
    let (highlights, next_steps) = result(facts, outcome);
    Telling { title: title(facts), highlights, next_steps, talk: talk(facts), message: message(facts) }
}

fn title(facts: &Facts) -> String {
    let (people, at) = (people(facts), at(facts));
    match facts.category {
        Category::Restaurant => format!("Table for {people}{at}"),
        Category::Clinic => format!("Appointment{at}"),
        Category::Hotel => format!("Room for {people}{at}"),
        Category::General => facts.task.trim_end_matches('.').to_owned(),
    }
}

fn result(facts: &Facts, outcome: Outcome) -> (String, String) {
    let phone = &facts.phone;
    match outcome {
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
    }
}

fn success(facts: &Facts) -> String {
    let (name, task) = (&facts.name, &facts.task);
    let (people, at, when) = (people(facts), at(facts), when(facts.start));
    match facts.category {
        Category::Restaurant => {
            format!("Table for {people} booked{at}, {when}, under the name {name}.")
        }
        Category::Clinic => format!("Appointment made{at} for {name}, {when}."),
        Category::Hotel => {
            format!("Room for {people} booked{at}, arriving {when}, under the name {name}.")
        }
        Category::General if facts.has_start => format!("Agreed{at} for {when}: {task}"),
        Category::General => format!("Done{at}: {task}"),
    }
}

fn after_success(facts: &Facts) -> String {
    let phone = &facts.phone;
    match facts.category {
        Category::Restaurant => format!("To change or cancel the table, call {phone}."),
        Category::Clinic => "Be there ten minutes early, with an identity card.".to_owned(),
        Category::Hotel => format!("To arrive after 22:00, call {phone} beforehand."),
        Category::General => format!("Nothing is left to do; for questions, call {phone}."),
    }
}

fn talk(facts: &Facts) -> Talk {
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
    let (people, when, task) = (people(facts), when(facts.start), &facts.task);
    match facts.category {
        Category::Restaurant => {
            format!("I would like to book a table for {people}, {when}, please.")
        }
        Category::Clinic => format!("I would like to make an appointment, {when}, if possible."),
        Category::Hotel => {
            format!("I would like to book a room for {people}, arriving {when}, please.")
        }
        Category::General if facts.has_start => format!("It is about this: {task} For {when}."),
        Category::General => format!("It is about this: {task}"),
    }
}

fn offer(facts: &Facts) -> String {
    let (people, time) = (people(facts), time(facts.start));
    match facts.category {
        Category::Restaurant => {
            format!("One moment, let me look. Yes, I have a table for {people} at {time}.")
        }
        Category::Clinic => format!("Let me look at the calendar. Yes, {time} is still free."),
        Category::Hotel => format!("Let me check. Yes, we have a room for {people} that night."),
        Category::General => "One moment, let me check. Yes, that can be done.".to_owned(),
    }
}

fn confirmation(facts: &Facts) -> String {
    let (name, people, when) = (&facts.name, people(facts), when(facts.start));
    match facts.category {
        Category::Restaurant => format!("Then a table for {people}, {when}, for {name}. Done."),
        Category::Clinic => format!("Then {name}, {when}. Please come ten minutes early."),
        Category::Hotel => format!("Then a room for {people}, arriving {when}, for {name}. Done."),
        Category::General if facts.has_start => format!("Very well, {name}: {when}. All set."),
        Category::General => format!("Very well, {name}. All set."),
    }
}

fn message(facts: &Facts) -> Vec<Turn> {
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

fn people(facts: &Facts) -> String {
    match facts.people {
        1 => "1 person".to_owned(),
        count => format!("{count} people"),
    }
}

fn when(start: DateTime) -> String {
    format!("{} at {}", start.strftime("%A, %B %-d"), time(start))
}

fn time(start: DateTime) -> String {
    start.strftime("%-I:%M %p").to_string()
}
