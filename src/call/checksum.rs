//! The last member of a line of the journal: a CRC-32 of what stands before it, so that a damaged line is known for one.

/// Adds the member to a JSON object that has others.
pub fn add(object: &mut Vec<u8>) {
    object.pop();
    let member = member(object);
    object.extend_from_slice(member.as_bytes());
}

/// Whether an object ends with the member that fits it.
pub fn fits(object: &[u8]) -> bool {
    let object = object.trim_ascii_end();
    let parts = object.len().checked_sub(member(b"").len()).and_then(|at| object.split_at_checked(at));
    parts.is_some_and(|(before, end)| end == member(before).as_bytes())
}

fn member(before: &[u8]) -> String {
    format!(r#","crc32":"{:08x}"}}"#, crc32fast::hash(before))
}
