//! The Spanish script.

use jiff::civil::{Date, Time};

use super::facts::{Facts, Moment, Subject};
use super::talk::{Exchange, Report, Talk, Turn};
use crate::sandbox::scenario::Outcome;

pub(super) fn report(facts: &Facts, outcome: Outcome) -> Report {
    let phone = &facts.phone;
    let (highlights, next_steps) = match outcome {
        Outcome::Success => (success(facts), after_success(facts)),
        Outcome::NoAnswer => (
            format!("Nadie contestó en el {phone}."),
            "Vuelve a llamar más tarde, en horario de apertura.".to_owned(),
        ),
        Outcome::Busy => (
            format!("La línea del {phone} comunicaba."),
            "Vuelve a llamar dentro de unos minutos.".to_owned(),
        ),
        Outcome::Failed => (
            format!("No se pudo conectar la llamada al {phone}."),
            "Comprueba el número y vuelve a llamar.".to_owned(),
        ),
        Outcome::Voicemail => (
            format!("Respondió el buzón de voz del {phone}; se dejó un mensaje."),
            "Espera a que devuelvan la llamada o llama más tarde.".to_owned(),
        ),
        Outcome::Cancelled => (
            format!("La llamada al {phone} se canceló antes de que contestaran."),
            "Vuelve a hacer la llamada si aún la necesitas.".to_owned(),
        ),
    };
    Report { title: title(facts), highlights, next_steps }
}

fn title(facts: &Facts) -> String {
    let (people, at) = (for_people(facts), at(facts));
    match facts.subject {
        Subject::Table => format!("Mesa{people}{at}"),
        Subject::Visit => format!("Cita{at}"),
        Subject::Room => format!("Habitación{people}{at}"),
        _ => facts.task.trim_end_matches('.').to_owned(),
    }
}

fn success(facts: &Facts) -> String {
    let (name, task) = (&facts.name, &facts.task);
    let (people, at, when) = (for_people(facts), at(facts), behind(", ", facts.agreed));
    let done = match facts.subject {
        Subject::Table => format!("Mesa{people} reservada{at}{when}, a nombre de {name}."),
        Subject::Visit => format!("Cita concertada{at} para {name}{when}."),
        Subject::Room => {
            let arriving = behind(", llegada ", facts.agreed);
            format!("Habitación{people} reservada{at}{arriving}, a nombre de {name}.")
        }
        Subject::Cancelling => return format!("Anulado{at}{people}{when}: {task}"),
        Subject::Changing => return format!("Cambiado{at}{people}{when}: {task}"),
        Subject::Asking => return format!("Respondido{at}{people}{when}: {task}"),
        Subject::Other if facts.agreed.is_empty() => return format!("Hecho{at}{people}: {task}"),
        Subject::Other => return format!("Acordado{at}{people}{when}: {task}"),
    };
    if facts.tells_task { format!("{done} Según lo pedido: {task}") } else { done }
}

fn after_success(facts: &Facts) -> String {
    let phone = &facts.phone;
    match facts.subject {
        Subject::Table => format!("Para cambiar o anular la mesa, llama al {phone}."),
        Subject::Visit => "Llega diez minutos antes y lleva un documento de identidad.".to_owned(),
        Subject::Room => format!("Para cambiar o anular la habitación, llama al {phone}."),
        _ => format!("No queda nada por hacer; si hay dudas, llama al {phone}."),
    }
}

pub(super) fn talk(facts: &Facts) -> Talk {
    let name = &facts.name;
    let greeting = match &facts.business {
        Some(business) => format!("{business}, dígame. ¿En qué puedo ayudarle?"),
        None => "Dígame, ¿en qué puedo ayudarle?".to_owned(),
    };
    Talk {
        greeting,
        request: format!(
            "Hola, soy un asistente de inteligencia artificial y llamo de parte de {name}. {}{}",
            request(facts),
            if facts.is_urgent { " Es urgente." } else { "" },
        ),
        offer: offer(facts),
        preference: facts.preference.as_ref().map(|preference| Exchange {
            ai: format!("En cuanto a la hora, también me han dicho: {preference}"),
            human: "Muy bien, lo tendré en cuenta.".to_owned(),
        }),
        instructions: facts.instructions.as_ref().map(|instructions| Exchange {
            ai: format!("También me han pedido que mencione: {instructions}"),
            human: "Anotado, nos ocupamos de ello.".to_owned(),
        }),
        name: match &facts.user_phone {
            Some(phone) => format!("Perfecto. A nombre de {name}, con el teléfono {phone}."),
            None => format!("Perfecto. A nombre de {name}."),
        },
        confirmation: confirmation(facts),
        thanks: "Muchas gracias por su ayuda. Hasta luego.".to_owned(),
        goodbye: "Gracias a usted por llamar. Hasta luego.".to_owned(),
    }
}

fn request(facts: &Facts) -> String {
    let (people, when, task) = (for_people(facts), behind(", ", facts.asked), &facts.task);
    let request = match facts.subject {
        Subject::Table => format!("Quería reservar una mesa{people}{when}."),
        Subject::Visit => format!("Quería pedir una cita{people}{when}, si es posible."),
        Subject::Room => {
            let arriving = behind(", con llegada ", facts.asked);
            format!("Quería reservar una habitación{people}{arriving}.")
        }
        _ => {
            let details: Vec<_> = people_of(facts).into_iter().chain(when_of(facts.asked)).collect();
            return match details.is_empty() {
                true => format!("Se trata de lo siguiente: {task}"),
                false => format!("Se trata de lo siguiente: {task} Es decir: {}.", details.join(", ")),
            };
        }
    };
    if facts.tells_task { format!("{request} En sus palabras: {task}") } else { request }
}

fn offer(facts: &Facts) -> String {
    let people = for_people(facts);
    let slot = facts.offered();
    match facts.subject {
        Subject::Table => {
            format!("Un momento, que lo miro. Sí, tengo una mesa{people}{}.", behind(" ", slot))
        }
        Subject::Visit => match when_of(slot) {
            Some(when) => format!("Déjeme ver la agenda. Hay un hueco libre {when}."),
            None => "Déjeme ver la agenda. Sí, es posible.".to_owned(),
        },
        Subject::Room if facts.asked.date.is_some() => {
            format!("Lo compruebo. Sí, tenemos una habitación{people} esa noche.")
        }
        Subject::Room => format!("Lo compruebo. Sí, tenemos una habitación{people}{}.", behind(", ", slot)),
        Subject::Cancelling => "Un momento, que lo miro. Sí, aquí está.".to_owned(),
        Subject::Changing => "Un momento, que lo miro. Sí, se puede cambiar.".to_owned(),
        Subject::Asking => "Un momento, que lo compruebo. Sí, se lo puedo decir.".to_owned(),
        Subject::Other => "Un momento, que lo compruebo. Sí, se puede hacer.".to_owned(),
    }
}

fn confirmation(facts: &Facts) -> String {
    let (name, people, when) = (&facts.name, for_people(facts), behind(", ", facts.agreed));
    match facts.subject {
        Subject::Table => format!("Entonces, mesa{people}{when}, a nombre de {name}. Hecho."),
        Subject::Visit => format!("Entonces, {name}{people}{when}. Venga diez minutos antes."),
        Subject::Room => {
            let arriving = behind(", llegada ", facts.agreed);
            format!("Entonces, habitación{people}{arriving}, a nombre de {name}. Hecho.")
        }
        Subject::Cancelling => format!("Muy bien, {name}. Queda anulado."),
        Subject::Changing => format!("Muy bien, {name}. Queda cambiado."),
        Subject::Asking => format!("Con mucho gusto, {name}. Eso es todo."),
        Subject::Other => format!("Muy bien, {name}{}. Queda hecho.", behind(": ", facts.agreed)),
    }
}

pub(super) fn message(facts: &Facts) -> Vec<Turn> {
    let (name, task) = (&facts.name, &facts.task);
    let whose = match &facts.business {
        Some(business) => format!("de {business}"),
        None => format!("del {}", facts.phone),
    };
    let number = match &facts.user_phone {
        Some(phone) => format!(" al {phone}"),
        None => String::new(),
    };
    vec![
        Turn::Human(format!("Este es el buzón de voz {whose}. Deje su mensaje después de la señal.")),
        Turn::Ai(format!(
            "Hola, soy un asistente de inteligencia artificial y llamo de parte de {name}. Se trata \
             de lo siguiente: {task} Por favor, devuelvan la llamada{number}. Gracias, hasta luego."
        )),
    ]
}

fn at(facts: &Facts) -> String {
    let business = facts.business.iter();
    business.map(|business| format!(" en {business}")).collect()
}

fn people_of(facts: &Facts) -> Option<String> {
    facts.people.map(|count| if count == 1 { "1 persona".to_owned() } else { format!("{count} personas") })
}

fn for_people(facts: &Facts) -> String {
    people_of(facts).map(|people| format!(" para {people}")).unwrap_or_default()
}

/// The moment with this before it, or nothing.
fn behind(start: &str, moment: Moment) -> String {
    when_of(moment).map(|when| format!("{start}{when}")).unwrap_or_default()
}

fn when_of(moment: Moment) -> Option<String> {
    let parts: Vec<_> = moment.date.map(day).into_iter().chain(moment.time.map(time)).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn day(date: Date) -> String {
    const WEEKDAYS: [&str; 7] = ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"];
    const MONTHS: [&str; 12] = [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ];
    let weekday = WEEKDAYS[date.weekday().to_monday_zero_offset() as usize];
    let month = MONTHS[date.month() as usize - 1];
    format!("el {weekday} {} de {month}", date.day())
}

fn time(time: Time) -> String {
    let article = if time.hour() == 1 { "la" } else { "las" };
    format!("a {article} {}", time.strftime("%-H:%M"))
}
