//! Where to serve health and metrics: not at all, unless the section says so.

use std::net::Ipv4Addr;

use super::listen::{Read, read_tcp, read_unix};
use super::reader::OptionReader;
use crate::listen::Listen;
use crate::secrecy;
use crate::spelling::{did_you_mean, suggestion};

/// The section of the options.
pub(crate) const SECTION: &str = "challenger-metrics";

/// All options of the section `[challenger-metrics]`.
pub const METRICS_OPTIONS: [&str; 5] = ["BIND_TO", "PORT", "SERVE", "UNIXPATH", "UNIXPATH_MODE"];

/// The ways to listen. Others than this machine have no business there, as a rule.
const CHOICES: [(&str, Read); 2] = [
    ("tcp", |it| read_tcp(it, Ipv4Addr::LOCALHOST.into(), None)),
    ("unix", |it| read_unix(it, "metrics.sock")),
];

/// Reads where to serve health and metrics; `None` if that is not wanted.
pub(super) fn read_metrics(reader: &mut OptionReader<'_>) -> Option<Listen> {
    reader.within(SECTION, |reader| {
        warn_about_unused_options(reader);
        let read = reader.optional("SERVE", |it| it.choice(&CHOICES))?;
        if cfg!(not(feature = "metrics")) {
            let expected = "no such option, because this program was built without metrics";
            reader.refuse("SERVE", expected);
            return None;
        }
        let listen = read(reader)?;
        if let Listen::Tcp(address) = &listen
            && !address.ip().to_canonical().is_loopback()
        {
            reader.warnings.push(format!(
                "[{SECTION}] BIND_TO = {}: the metrics can be read from other machines, unless a \
                 firewall keeps them out",
                address.ip()
            ));
        }
        Some(listen)
    })
}

/// Warns about options that do nothing: unknown ones, and a port without `SERVE`. The others may be
/// defaults.
fn warn_about_unused_options(reader: &mut OptionReader<'_>) {
    let Some(section) = reader.config.section(SECTION) else { return };
    let is = |name: &str, option: &str| option.eq_ignore_ascii_case(name);
    for setting in &section.settings {
        if !METRICS_OPTIONS.iter().any(|option| is(&setting.name, option)) {
            let (name, origin) = (secrecy::name(&setting.name), &setting.value.origin);
            let meant = did_you_mean(suggestion(name, METRICS_OPTIONS));
            reader
                .warnings
                .push(format!("{origin}: [{SECTION}] has no option {name}; ignored{meant}"));
        }
    }
    let has = |option: &str| section.settings.iter().any(|it| is(&it.name, option));
    if has("PORT") && !has("SERVE") {
        let warning = format!("[{SECTION}] has no SERVE, so neither health nor metrics are served");
        reader.warnings.push(warning);
    }
}
