//! What is said and what is told of it, as every subject and language has it.

/// How the call went, as the caller is told.
#[derive(Debug)]
pub(in super::super) struct Report {
    /// What to call the appointment in a calendar.
    pub(in super::super) title: String,
    pub(in super::super) highlights: String,
    pub(in super::super) next_steps: String,
}

pub(super) enum Turn {
    Ai(String),
    Human(String),
}

/// A talk as every subject and language has it.
pub(super) struct Talk {
    pub(super) greeting: String,
    pub(super) request: String,
    pub(super) offer: String,
    pub(super) preference: Option<Exchange>,
    pub(super) instructions: Option<Exchange>,
    pub(super) name: String,
    pub(super) confirmation: String,
    pub(super) thanks: String,
    pub(super) goodbye: String,
}

pub(super) struct Exchange {
    pub(super) ai: String,
    pub(super) human: String,
}

impl Talk {
    pub(super) fn turns(self) -> Vec<Turn> {
        let mut turns = vec![Turn::Human(self.greeting), Turn::Ai(self.request), Turn::Human(self.offer)];
        for exchange in self.preference.into_iter().chain(self.instructions) {
            turns.extend([Turn::Ai(exchange.ai), Turn::Human(exchange.human)]);
        }
        turns.extend([
            Turn::Ai(self.name),
            Turn::Human(self.confirmation),
            Turn::Ai(self.thanks),
            Turn::Human(self.goodbye),
        ]);
        turns
    }
}
