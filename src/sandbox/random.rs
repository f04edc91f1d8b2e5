//! Identifiers nobody can guess.

/// 128 bits from the thread's cryptographic generator, as 32 hexadecimal digits.
pub(super) fn secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// A random (version 4) UUID, RFC 9562 section 5.4.
pub(super) fn uuid() -> String {
    const VERSION: u128 = 0xf << 76;
    const VARIANT: u128 = 0b11 << 62;
    let bits = rand::random::<u128>() & !VERSION & !VARIANT | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_carries_its_version_and_variant() {
        let uuid = uuid();
        let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uuid.as_bytes()[19]));
    }
}
