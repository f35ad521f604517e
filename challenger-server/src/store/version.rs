//! Whether a program and a schema fit together, in the same words for every store.

/// What was done to a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version that the database had; 0 if it had no schema.
    pub from: usize,
    /// The version that it has now.
    pub to: usize,
}

/// Checks that the program can begin to serve from a schema of that version; `newest` is the
/// version that it knows.
pub(super) fn check(version: usize, newest: usize) -> Result<(), String> {
    check_not_older(version, newest)?;
    check_not_newer(version, newest)
}

/// Checks that the schema has all that the program needs.
pub(super) fn check_not_older(version: usize, newest: usize) -> Result<(), String> {
    match version {
        0 => Err("has no schema yet; run challenger-dbinit".to_owned()),
        older if older < newest => Err(format!(
            "has schema version {older}, but this program needs {newest}; run challenger-dbinit"
        )),
        _ => Ok(()),
    }
}

/// Checks that the program knows the version at all.
pub(super) fn check_not_newer(version: usize, newest: usize) -> Result<(), String> {
    if version <= newest {
        return Ok(());
    }
    Err(format!(
        "has schema version {version}, but this program knows {newest} at most; upgrade the program"
    ))
}
