//! Whose a file is, and opening it so that nobody can put another in its place.

#[cfg(unix)]
use std::fs::Metadata;
use std::fs::OpenOptions;

/// Opens no link put there meanwhile, and does not wait for a FIFO's other end.
pub fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits() as i32)
    }
    #[cfg(not(unix))]
    options
}

/// Whether a file is the user's; root uses every user's.
#[cfg(unix)]
pub fn is_ours(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid();
    user.is_root() || file.uid() == user.as_raw()
}

/// Whether a link may lead to a file: the user's own to the user's own, and for root, who could be led astray by it,
/// root's own or one of the file's owner.
#[cfg(unix)]
pub fn may_lead(link: &Metadata, file: Option<&Metadata>) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    link.uid() == user || (user == 0 && file.is_some_and(|file| file.uid() == link.uid()))
}

/// The owner to be kept: only root writes another user's file.
#[cfg(unix)]
pub fn owner_to_keep(file: &Metadata) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    let is_own = file.uid() == rustix::process::geteuid().as_raw();
    (!is_own).then(|| (file.uid(), file.gid()))
}
