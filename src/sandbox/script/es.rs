//! The Spanish script.

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
        Category::Restaurant => format!("Mesa para {people}{at}"),
        Category::Clinic => format!("Cita{at}"),
        Category::Hotel => format!("Habitación para {people}{at}"),
        Category::General => facts.task.trim_end_matches('.').to_owned(),
    }
}

fn result(facts: &Facts, outcome: Outcome) -> (String, String) {
    let phone = &facts.phone;
    match outcome {
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
    }
}

fn success(facts: &Facts) -> String {
    let (name, task) = (&facts.name, &facts.task);
    let (people, at, when) = (people(facts), at(facts), when(facts.start));
    match facts.category {
        Category::Restaurant => {
            format!("Mesa para {people} reservada{at}, {when}, a nombre de {name}.")
        }
        Category::Clinic => format!("Cita concertada{at} para {name}, {when}."),
        Category::Hotel => {
            format!("Habitación para {people} reservada{at}, llegada {when}, a nombre de {name}.")
        }
        Category::General if facts.has_start => format!("Acordado{at}, {when}: {task}"),
        Category::General => format!("Hecho{at}: {task}"),
    }
}

fn after_success(facts: &Facts) -> String {
    let phone = &facts.phone;
    match facts.category {
        Category::Restaurant => format!("Para cambiar o anular la mesa, llama al {phone}."),
        Category::Clinic => "Llega diez minutos antes y lleva un documento de identidad.".to_owned(),
        Category::Hotel => format!("Si llegas después de las 22:00, avisa al {phone}."),
        Category::General => format!("No queda nada por hacer; si hay dudas, llama al {phone}."),
    }
}

fn talk(facts: &Facts) -> Talk {
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
    let (people, when, task) = (people(facts), when(facts.start), &facts.task);
    match facts.category {
        Category::Restaurant => format!("Quería reservar una mesa para {people}, {when}."),
        Category::Clinic => format!("Quería pedir una cita, a ser posible {when}."),
        Category::Hotel => {
            format!("Quería reservar una habitación para {people}, con llegada {when}.")
        }
        Category::General if facts.has_start => {
            format!("Se trata de lo siguiente: {task} Sería {when}.")
        }
        Category::General => format!("Se trata de lo siguiente: {task}"),
    }
}

fn offer(facts: &Facts) -> String {
    let (people, time) = (people(facts), time(facts.start));
    match facts.category {
        Category::Restaurant => {
            format!("Un momento, que lo miro. Sí, tengo una mesa para {people} {time}.")
        }
        Category::Clinic => format!("Déjeme ver la agenda. Sí, {time} hay un hueco libre."),
        Category::Hotel => {
            format!("Lo compruebo. Sí, tenemos una habitación para {people} esa noche.")
        }
        Category::General => "Un momento, que lo compruebo. Sí, se puede hacer.".to_owned(),
    }
}

fn confirmation(facts: &Facts) -> String {
    let (name, people, when) = (&facts.name, people(facts), when(facts.start));
    match facts.category {
        Category::Restaurant => {
            format!("Entonces, mesa para {people}, {when}, a nombre de {name}. Hecho.")
        }
        Category::Clinic => format!("Entonces, {name}, {when}. Venga diez minutos antes."),
        Category::Hotel => {
            format!("Entonces, habitación para {people}, llegada {when}, a nombre de {name}. Hecho.")
        }
        Category::General if facts.has_start => format!("Muy bien, {name}: {when}. Queda hecho."),
        Category::General => format!("Muy bien, {name}. Queda hecho."),
    }
}

fn message(facts: &Facts) -> Vec<Turn> {
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

fn people(facts: &Facts) -> String {
    match facts.people {
        1 => "1 persona".to_owned(),
        count => format!("{count} personas"),
    }
}

fn when(start: DateTime) -> String {
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
    let weekday = WEEKDAYS[start.weekday().to_monday_zero_offset() as usize];
    let month = MONTHS[start.month() as usize - 1];
    format!("el {weekday} {} de {month} {}", start.day(), time(start))
}

fn time(start: DateTime) -> String {
    let article = if start.hour() == 1 { "la" } else { "las" };
    format!("a {article} {}", start.strftime("%-H:%M"))
}
