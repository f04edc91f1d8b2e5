//! `--history`: the newest calls, all of them, or those of one status.

use std::collections::HashSet;

use super::{Context, DONE, READ_TIMEOUT, show, signed_in};
use crate::api::{Call, Client, Document, Page, Tokens};
use crate::cli::HistoryOptions;
use crate::error::Result;
use crate::output::{Cell, Clock, Column, Line, Table, Tone};

/// How many calls are shown where nobody says.
const USUAL: u16 = 10;
/// The most that the API gives at once.
const LARGEST_PAGE: u16 = 200;

/// Lists calls.
pub async fn list(context: &Context, options: &HistoryOptions) -> Result<u8> {
    signed_in(context, READ_TIMEOUT, async |client| {
        if options.all || options.status.is_some() {
            Walk::new(context, options).run(client).await
        } else {
            let page = client.history(options.limit.unwrap_or(USUAL), options.offset).await?;
            present_page(context, options, &page)
        }
    })
    .await?;
    Ok(DONE)
}

pub(super) fn present_page(context: &Context, options: &HistoryOptions, page: &Document<Page>) -> Result<()> {
    if context.out.is_json() { context.out.document(&page.raw) } else { show_page(context, options, page) }
}

fn show_page(context: &Context, options: &HistoryOptions, page: &Document<Page>) -> Result<()> {
    let calls = &page.value.calls;
    if calls.is_empty() {
        let text = if options.offset.unwrap_or(0) > 0 {
            "There are no calls beyond these."
        } else {
            "There are no calls yet."
        };
        return context.out.line(&Line::new().text(text));
    }
    let mut listing = Listing::new(context);
    listing.print(context, calls.iter().map(|(_, call)| call))?;
    let shown = calls.len() as u64;
    let total = page.value.total.unwrap_or(0);
    let behind = total.saturating_sub(options.offset.unwrap_or(0) + shown);
    if behind > 0 {
        let next = options.offset.unwrap_or(0) + shown;
        let text = format!("{behind} more of {total}: --offset {next} for the next, --all for every one");
        context.out.line(&Line::new().tone(Tone::Faint, &text))?;
    }
    Ok(())
}

/// Page after page, printed as they come: memory holds one.
struct Walk<'a> {
    context: &'a Context,
    listing: Listing,
    status: Option<&'a str>,
    page_size: u16,
    offset: u64,
    /// How many may still be printed.
    wanted: Option<u64>,
    printed: u64,
    /// The IDs of the page before: calls move down the list as new ones are placed.
    before: HashSet<String>,
}

impl<'a> Walk<'a> {
    fn new(context: &'a Context, options: &'a HistoryOptions) -> Self {
        Self {
            context,
            listing: Listing::new(context),
            status: options.status.as_deref(),
            page_size: options.limit.filter(|_| options.all).unwrap_or(LARGEST_PAGE),
            offset: options.offset.unwrap_or(0),
            wanted: (!options.all).then(|| options.limit.unwrap_or(USUAL).into()),
            printed: 0,
            before: HashSet::new(),
        }
    }

    async fn run<T: Tokens>(mut self, client: &Client<'_, T>) -> Result<()> {
        let out = &self.context.out;
        let mut known_total = None;
        let mut is_first = true;
        loop {
            client.extend(self.context.deadline(READ_TIMEOUT));
            let offset = (self.offset > 0).then_some(self.offset);
            let page = client.history(self.page_size, offset).await?.value;
            // What fails at once leaves nothing on stdout.
            if out.is_json() && is_first {
                out.punctuation("{\n  \"calls\": [")?;
            }
            is_first = false;
            self.offset += page.calls.len() as u64;
            known_total = page.total.or(known_total);
            let ids: HashSet<String> = page.calls.iter().map(|(_, call)| call.call_id.clone()).collect();
            // A server that knows no offset would give the same page for ever.
            let nothing_new = ids.is_subset(&self.before);
            self.print(&page)?;
            self.before = ids;
            let at_end = known_total.is_some_and(|total| self.offset >= total);
            if nothing_new || at_end || self.wanted == Some(0) {
                break;
            }
        }
        let total = if self.status.is_some() { self.printed } else { known_total.unwrap_or(self.printed) };
        if out.is_json() {
            let line_break = if self.printed > 0 { "\n  " } else { "" };
            out.punctuation(&format!("{line_break}],\n  \"total\": {total}\n}}"))?;
            return out.blank();
        }
        match (self.printed, self.status) {
            (0, None) => out.line(&Line::new().text("There are no calls yet.")),
            (0, Some(status)) => {
                out.line(&Line::new().text("There is no call of status ").text(status).text("."))
            }
            _ if self.wanted == Some(0) && known_total.is_none_or(|total| self.offset < total) => out.line(
                &Line::new()
                    .tone(Tone::Faint, "There may be more: --limit N for as many, --all for every one"),
            ),
            _ => Ok(()),
        }
    }

    fn print(&mut self, page: &Page) -> Result<()> {
        let fits =
            |call: &Call| self.status.is_none_or(|status| show::status_name(call.status.as_ref()) == status);
        let most = self.wanted.map_or(usize::MAX, |wanted| wanted as usize);
        let new = page.calls.iter().filter(|(_, call)| !self.before.contains(&call.call_id) && fits(call));
        let chosen: Vec<_> = new.take(most).collect();
        let out = &self.context.out;
        if out.is_json() {
            for (index, (raw, _)) in chosen.iter().enumerate() {
                let first = self.printed == 0 && index == 0;
                out.punctuation(if first { "\n    " } else { ",\n    " })?;
                out.fragment(raw.get().as_bytes(), 2)?;
            }
        } else if !chosen.is_empty() {
            self.listing.print(self.context, chosen.iter().map(|(_, call)| call))?;
        }
        self.printed += chosen.len() as u64;
        self.wanted = self.wanted.map(|wanted| wanted - chosen.len() as u64);
        Ok(())
    }
}

/// The table of calls, page by page.
struct Listing {
    table: Table,
    clock: Clock,
}

/// As much of a UUID as tells calls apart.
const SHORT_ID: usize = 8;

impl Listing {
    fn new(context: &Context) -> Self {
        let column = |heading, most| Column { heading, most };
        let columns = vec![
            column("WHEN", Some(16)),
            column("STATUS", Some(11)),
            column("WHOM", Some((context.out.table_width() / 5).clamp(12, 30))),
            column("WHAT", None),
            column("ID", Some(36)),
        ];
        Self { table: Table::new(columns), clock: context.clock() }
    }

    fn print<'c>(&mut self, context: &Context, calls: impl Iterator<Item = &'c Call> + Clone) -> Result<()> {
        let mut seen = HashSet::new();
        let distinct = calls.clone().all(|call| seen.insert(short(&call.call_id)));
        for call in calls {
            let id = if distinct { short(&call.call_id) } else { &call.call_id };
            self.table.row(vec![
                Cell::new(&call.created_at().map(|at| self.clock.moment(at)).unwrap_or_default()),
                Cell::toned(show::tone(call.status.as_ref()), show::status_name(call.status.as_ref())),
                Cell::new(call.business().or(call.number()).unwrap_or_default()),
                Cell::new(call.summary().or(call.task()).unwrap_or_default()),
                Cell::new(id),
            ]);
        }
        context.out.table(&mut self.table)
    }
}

/// The beginning of a UUID; another kind of ID is shown whole.
fn short(id: &str) -> &str {
    let is_uuid = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_uuid { id.get(..SHORT_ID).unwrap_or(id) } else { id }
}
