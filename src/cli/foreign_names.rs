//! What users of other tools write, and what it is here: a mistake that can be named is mended in one step.

/// What users of other tools write, and what it is here.
const FLAGS: &[(&str, &str)] = &[
    ("-j", "--json"),
    ("-m", "-t TEXT"),
    ("-n", "--limit N"),
    ("adults", "--party-size N"),
    ("business-name", "--business NAME"),
    ("ayuda", "--help"),
    ("call-id", "--call-info ID"),
    ("cancel", "nothing: a call cannot be called off; -p and -t ring again to cancel what was booked"),
    ("cancelar", "nothing: a call cannot be called off; -p and -t ring again to cancel what was booked"),
    ("categoria", "--category KIND"),
    ("clinic", "--category clinic"),
    ("context", "--instruction TEXT"),
    ("count", "--limit N"),
    ("customer-name", "--name NAME"),
    ("day", "--date YYYY-MM-DD"),
    ("description", "--task TEXT"),
    ("dryrun", "--dry-run"),
    ("encargo", "--task TEXT"),
    ("estado", "--status STATUS"),
    ("fecha", "--date YYYY-MM-DD"),
    ("filter", "--status STATUS, --search TEXT or --since DATE"),
    ("follow", "--resume KEY"),
    ("force", "--again, which rings a second time"),
    ("format", "--json; the output is text without it"),
    ("general", "--category general"),
    ("goal", "--task TEXT"),
    ("guests", "--party-size N"),
    ("historial", "--history"),
    ("hora", "--time HH:MM"),
    ("hotel", "--category hotel"),
    ("hour", "--time HH:MM"),
    ("idioma", "--language en or --language es"),
    ("instructions", "--instruction TEXT, once for each"),
    ("key", "--idempotency-key KEY"),
    ("locale", "--language en or --language es"),
    ("max", "--limit N"),
    ("message", "--task TEXT"),
    ("mobile", "--phone NUMBER"),
    ("negocio", "--business NAME"),
    ("no-color", "--color never"),
    ("nombre", "--name NAME"),
    ("note", "--instruction TEXT"),
    ("notes", "--instruction TEXT"),
    ("number", "--phone NUMBER"),
    ("objective", "--task TEXT"),
    ("page", "--offset N"),
    ("pax", "--party-size N"),
    ("people", "--party-size N"),
    ("personas", "--party-size N"),
    ("persons", "--party-size N"),
    ("phone-number", "--phone NUMBER"),
    ("prompt", "--task TEXT"),
    ("quiet", "2>/dev/null; stdout holds the result and nothing else"),
    ("recipient", "--phone NUMBER"),
    ("restaurant", "--category restaurant"),
    ("silent", "2>/dev/null; stdout holds the result and nothing else"),
    ("simulate", "--dry-run, or --sandbox to rehearse the whole call"),
    ("tarea", "--task TEXT"),
    ("telefono", "--phone NUMBER"),
    ("test", "--dry-run, or --sandbox to rehearse the whole call"),
    ("text", "--task TEXT"),
    ("to", "--phone NUMBER"),
    ("token", "KALLYAI_ACCESS_TOKEN in the environment; a flag would show it to other users"),
    ("tz", "--timezone ZONE"),
    ("until", "--since DATE; there is no end but today"),
    ("user-name", "--name NAME"),
    ("verbose", "--debug"),
    ("wait", "nothing: a call is waited for; --detach does not wait"),
    ("yes", "--no-input; nothing is asked before a call anyway"),
    ("zona", "--timezone ZONE"),
    ("zone", "--timezone ZONE"),
];

/// Words that other tools have as commands.
const COMMANDS: &[(&str, &str)] = &[
    ("ayuda", "--help"),
    ("llama", "-p NUMBER -t TEXT"),
    ("llamar", "-p NUMBER -t TEXT"),
    ("account", "--usage"),
    ("balance", "--usage"),
    ("book", "-p NUMBER -t TEXT"),
    ("calls", "--history"),
    ("credits", "--usage"),
    ("cancel", "--pending; a call cannot be called off"),
    ("get", "--call-info ID"),
    ("historial", "--history"),
    ("llamadas", "--history"),
    ("ls", "--history"),
    ("plan", "--subscription"),
    ("quota", "--usage"),
    ("reserve", "-p NUMBER -t TEXT"),
    ("serve", "--mcp for agents, or --serve-sandbox"),
    ("show", "--call-info ID"),
    ("signin", "--login"),
    ("signout", "--logout"),
    ("status", "--auth-status; a call's is in --call-info ID"),
    ("wait", "--resume KEY"),
    ("whoami", "--auth-status"),
];

/// Our flag for another tool's.
pub fn flag(theirs: &str) -> Option<&'static str> {
    find(FLAGS, theirs)
}

/// Our command for a word that is one elsewhere.
pub fn command(theirs: &str) -> Option<&'static str> {
    find(COMMANDS, theirs)
}

fn find(names: &[(&str, &'static str)], theirs: &str) -> Option<&'static str> {
    names.iter().find(|(name, _)| *name == theirs).map(|(_, ours)| *ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_theirs_is_taken_for_one_of_ours() {
        let declared = super::super::declaration();
        let ours: Vec<&str> = declared.get_arguments().filter_map(clap::Arg::get_long).collect();
        for (theirs, _) in FLAGS {
            // clap would take it as short for the only flag that begins with it.
            assert_ne!(ours.iter().filter(|flag| flag.starts_with(theirs)).count(), 1, "{theirs}");
        }
    }
}
