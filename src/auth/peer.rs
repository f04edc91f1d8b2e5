//! Whose program is at the other end of a connection on this computer: another user's must not complete a sign-in.

use std::net::SocketAddr;

/// Tells the user's own connections from others', where the system says whose they are.
pub struct PeerCheck {
    #[cfg(target_os = "linux")]
    tables: linux::Tables,
}

impl PeerCheck {
    /// Tries it out on a connection of this process's own: in some containers and emulations of Linux the system says
    /// nothing, or something else. There the check is off.
    pub fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            tables: linux::Tables::open(),
        }
    }

    /// Whether the program that connected from `peer` to `here` is the user's, or nobody can say.
    pub fn is_ours(&self, peer: SocketAddr, here: SocketAddr) -> bool {
        #[cfg(target_os = "linux")]
        return self.tables.is_ours(peer, here);
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (peer, here);
            true
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
    use std::os::unix::fs::FileExt as _;

    /// The tables of connections, open: when descriptors run out they can still be read.
    pub struct Tables {
        four: Option<File>,
        six: Option<File>,
        is_reliable_for_four: bool,
        is_reliable_for_six: bool,
    }

    /// One end of a connection.
    #[derive(Debug, PartialEq, Eq)]
    struct Row {
        user: u32,
        is_established: bool,
        inode: u64,
    }

    /// Of a larger table, in bytes, only the beginning is read.
    const LARGEST: u64 = 64 * 1024 * 1024;

    impl Tables {
        pub fn open() -> Self {
            let mut tables = Self {
                four: File::open("/proc/net/tcp").ok(),
                six: File::open("/proc/net/tcp6").ok(),
                is_reliable_for_four: false,
                is_reliable_for_six: false,
            };
            tables.is_reliable_for_four = tables.knows_own(Ipv4Addr::LOCALHOST.into()).unwrap_or(false);
            tables.is_reliable_for_six = tables.knows_own(Ipv6Addr::LOCALHOST.into()).unwrap_or(false);
            tables
        }

        /// Whether a connection of this process's own is known as such.
        fn knows_own(&self, address: IpAddr) -> io::Result<bool> {
            let listener = TcpListener::bind((address, 0))?;
            let stream = TcpStream::connect(listener.local_addr()?)?;
            Ok(self.find(stream.local_addr()?, stream.peer_addr()?).is_some_and(|row| row.is_ours()))
        }

        pub fn is_ours(&self, peer: SocketAddr, here: SocketAddr) -> bool {
            let is_reliable =
                if peer.is_ipv4() { self.is_reliable_for_four } else { self.is_reliable_for_six };
            !is_reliable || self.find(peer, here).is_some_and(|row| row.is_ours())
        }

        /// The end at `peer` of the connection to `here`. A program may have made it as one of IPv6 to a mapped address.
        fn find(&self, peer: SocketAddr, here: SocketAddr) -> Option<Row> {
            let four = self.four.as_ref().filter(|_| peer.is_ipv4());
            let mut tables = four.into_iter().chain(&self.six);
            tables.find_map(|table| search(table, peer, here).ok()?)
        }
    }

    impl Row {
        /// A connection without a process is shown as root's.
        fn is_ours(&self) -> bool {
            let is_held = self.is_established && self.inode != 0;
            match self.user {
                0 => is_held,
                user => user == rustix::process::geteuid().as_raw(),
            }
        }
    }

    /// Reads a table as far as the row that is looked for.
    fn search(table: &File, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Row>> {
        let mut some = vec![0; 64 * 1024];
        let (mut at, mut text) = (0, Vec::new());
        while at < LARGEST {
            let count = table.read_at(&mut some, at)?;
            text.extend_from_slice(some.get(..count).unwrap_or_default());
            at += count as u64;
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let row = find(text.get(..whole).unwrap_or_default(), local, remote);
            if row.is_some() || count == 0 {
                return Ok(row);
            }
            text.drain(..whole);
        }
        Ok(None)
    }

    /// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode`, as proc_pid_net(5) has it.
    fn find(table: &[u8], local: SocketAddr, remote: SocketAddr) -> Option<Row> {
        // Most rows are told apart by their port, which needs no parsing.
        let port = format!(":{:04X} ", local.port());
        std::str::from_utf8(table).ok()?.lines().filter(|line| line.contains(&port)).find_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, ours, theirs, state, _, _, _, user, _, inode, ..] = fields[..] else { return None };
            let is_it = address(ours) == Some(canonical(local)) && address(theirs) == Some(canonical(remote));
            is_it.then_some(())?;
            Some(Row { user: user.parse().ok()?, is_established: state == "01", inode: inode.parse().ok()? })
        })
    }

    fn canonical(address: SocketAddr) -> (IpAddr, u16) {
        (address.ip().to_canonical(), address.port())
    }

    /// An address in words of 32 bits, each written as the number that its bytes are on this computer.
    fn address(text: &str) -> Option<(IpAddr, u16)> {
        let (words, port) = text.split_once(':')?;
        let word = |from: usize| {
            let digits = words.get(from * 8..from * 8 + 8)?;
            Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
        };
        let address = match words.len() {
            8 => IpAddr::from(word(0)?),
            32 => {
                let bytes: Vec<u8> = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
                IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)
            }
            _ => return None,
        };
        Some((address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn at(text: &str) -> SocketAddr {
            text.parse().expect("an address")
        }

        #[cfg(target_endian = "little")]
        #[test]
        fn a_row_is_found_by_both_ends() {
            let table = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2310 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0 100 0 0 10 0
   1: 0100007F:2310 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 20 4 0 10 -1
   2: 0100007F:D431 0100007F:2310 01 00000000:00000000 00:00000000 00000000  1001        0 13 1 0 20 4 0 10 -1
   3: 0100007F:D432 0100007F:2310 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0
   4: 0000000000000000FFFF00000100007F:D433 0000000000000000FFFF00000100007F:2310 01 0:0 0:0 0 1002 0 14
   5: 00000000000000000000000001000000:D434 00000000000000000000000001000000:2310 01 0:0 0:0 0 1003 0 15
";
            let here = at("127.0.0.1:8976");
            let row = |user, is_established, inode| Some(Row { user, is_established, inode });
            assert_eq!(find(table, at("127.0.0.1:54321"), here), row(1001, true, 13));
            assert_eq!(find(table, at("127.0.0.1:54322"), here), row(0, false, 0));
            assert_eq!(find(table, at("127.0.0.1:54323"), here), row(1002, true, 14));
            assert_eq!(find(table, at("[::1]:54324"), at("[::1]:8976")), row(1003, true, 15));
            assert_eq!(find(table, at("127.0.0.2:54321"), here), None);
            assert_eq!(find(table, at("127.0.0.1:54321"), at("127.0.0.1:8977")), None);
        }

        #[test]
        fn a_row_is_found_wherever_the_table_is_cut_to_be_read() {
            use std::io::Write as _;
            let row = |port: u16, user: u32| {
                format!("   0: 0100007F:{port:04X} 0100007F:2310 01 0:0 0:0 0 {user:>5} 0 13\n")
            };
            let wanted = row(54321, 1001);
            let (rows, left) = (64 * 1024 / wanted.len(), 64 * 1024 % wanted.len());
            let others = row(1, 1000).repeat(rows - 1);
            // Its end moves from before the first 64 KiB's to a row's length behind it.
            for spaces in 0..=left + wanted.len() {
                let padding = " ".repeat(spaces);
                let mut table = tempfile::tempfile().expect("a file");
                write!(table, "{padding}\n{others}{wanted}{}", row(2, 1002)).expect("a table");
                let found = search(&table, at("127.0.0.1:54321"), at("127.0.0.1:8976")).expect("a table");
                let row = Row { user: 1001, is_established: true, inode: 13 };
                assert_eq!(found, Some(row), "{spaces}");
                let found = search(&table, at("127.0.0.1:9"), at("127.0.0.1:8976")).expect("a table");
                assert_eq!(found, None);
            }
        }

        #[test]
        fn a_row_is_found_behind_tens_of_thousands() {
            use std::io::Write as _;
            let row = |port: u16, user: u32| {
                format!("   0: 0100007F:{port:04X} 0100007F:2310 01 0:0 0:0 0 {user} 0 13\n")
            };
            let mut table = tempfile::tempfile().expect("a file");
            write!(table, "{}{}", row(1, 1000).repeat(30_000), row(54321, 1001)).expect("a table");
            let found = search(&table, at("127.0.0.1:54321"), at("127.0.0.1:8976")).expect("a table");
            assert_eq!(found.map(|row| row.user), Some(1001));
        }

        #[test]
        fn where_no_table_tells_of_our_own_connection_anybodys_passes() {
            let mut tables =
                Tables { four: None, six: None, is_reliable_for_four: false, is_reliable_for_six: false };
            assert!(!tables.knows_own(Ipv4Addr::LOCALHOST.into()).expect("a connection"));
            let (peer, here) = (at("127.0.0.1:54321"), at("127.0.0.1:8976"));
            assert!(tables.is_ours(peer, here));
            tables.is_reliable_for_four = true;
            assert!(!tables.is_ours(peer, here));
        }

        #[test]
        fn a_connection_without_a_process_is_nobodys() {
            let own = rustix::process::geteuid().as_raw();
            let row = |user, is_established, inode| Row { user, is_established, inode }.is_ours();
            assert!(row(own, true, 5) && row(0, true, 5));
            assert!(!row(0, false, 0) && !row(0, true, 0) && !row(0, false, 5));
            assert!(!row(own + 1, true, 5));
        }
    }
}
