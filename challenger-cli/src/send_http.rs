//! `challenger-send-http`: the helper that delivers a message by one request to a gateway.

mod exchange;
mod request;
mod settings;
mod template;
mod verdict;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::FromArgs;
use challenger_server::shipped::SAMPLE;
use serde_json::json;

use crate::args;
use crate::common::{helper_settings, of_helper};
use crate::exit::{Exit, end, say};
use crate::message::{plain, read_message, tidy_message};
use crate::private::Private;
use crate::serve::serve;
use exchange::{ExchangeError, Gateway};
use request::RequestError;
use settings::Settings;
use template::Values;
use verdict::{Answer, Verdict};

const PROGRAM: &str = "challenger-send-http";

/// The message of `--check`: it has what might break out of its place.
const SAMPLE_MESSAGE: &str =
    "1234-5678 is a code \"for tests\" only;\nit costs 100 % & more \\o/ ☃";

const SAMPLE_SUBJECT: &str = "Your code for shop.example";

/// Send the message on standard input by one HTTP request: the AUTH_COMMAND for SMS gateways and
/// webhooks.
///
/// The settings are variables of the environment, into which challenger-httpd puts the options of
/// [challenger-helper]. HTTP_URL is the gateway; HTTP_JSON or HTTP_FORM is the body, with variables
/// such as {{CONTACT_PHONE}} and {{message}}.
#[derive(FromArgs)]
#[argh(
    example = "challenger-send-http --check -c /etc/challenger/challenger.conf\n\
               echo 'It works.' | challenger-send-http '{{\"CONTACT_PHONE\":\"+41791234567\"}}'",
    note = "Exit status: 0, the gateway took the message; 64, wrong arguments; 65, --serve\n\
            cannot read a line; 67, there is nobody at this address; 69, failed;\n\
            75, failed, but may succeed later; 78, wrong settings.\n\
            More: challenger-send-http(1), with all settings."
)]
struct Arguments {
    /// print the request for a test message, with *** in place of secrets, and say whether the
    /// gateway is there; send nothing
    #[argh(switch)]
    check: bool,

    /// take the settings from [challenger-helper] in this configuration, too
    #[argh(option, short = 'c')]
    config: Option<PathBuf>,

    /// stay, and send one message after the other, each of which is a line of JSON on standard
    /// input, over one connection
    #[argh(switch)]
    serve: bool,

    /// the recipient, as {"CONTACT_PHONE":"+41791234567"}; --check has one of its own
    #[argh(positional, arg_name = "ADDRESS")]
    address: Option<String>,
}

/// Runs the program.
pub fn main() -> ExitCode {
    end(PROGRAM, run())
}

fn run() -> Result<(), Exit> {
    let parsed: Result<Arguments, Exit> = args::parse(PROGRAM, "c", std::env::args_os());
    let arguments = parsed.map_err(|exit| match exit.is_asked() {
        true => exit,
        false => usage("the arguments are wrong: expected one ADDRESS"),
    })?;
    if arguments.serve {
        return match (arguments.check, &arguments.address) {
            (false, None) => stay(arguments.config.as_deref()),
            _ => Err(usage("--serve goes without ADDRESS and --check")),
        };
    }
    let is_sample = arguments.check && arguments.address.is_none();
    let sample = is_sample.then(|| json!(BTreeMap::from(SAMPLE)).to_string());
    let address = arguments.address.or(sample).ok_or_else(|| usage("ADDRESS is missing"))?;
    let fields = fields(&address).map_err(|complaint| usage(&format!("ADDRESS: {complaint}")))?;
    let mut variables = variables(arguments.config.as_deref())?;
    if arguments.check {
        let subject = variables.entry("CHALLENGER_SUBJECT".to_owned());
        subject.or_insert_with(|| SAMPLE_SUBJECT.to_owned());
        return check(&variables, fields, &address, is_sample);
    }
    let settings = read_settings(&variables)?;
    let message = read_message().map_err(Exit::unavailable)?;
    let values = values(&settings, &variable(&variables), fields, &address, &message);
    deliver(&settings, &values, &mut Gateway::default())
}

/// Shows the request, and says whether there is a gateway for it.
fn check(
    variables: &BTreeMap<String, String>,
    fields: Values,
    address: &str,
    is_sample: bool,
) -> Result<(), Exit> {
    let found = |finding: String| Exit::misconfigured(of_helper(&finding));
    // A log has one line for all mistakes, and a person one for each.
    let settings = Settings::read(variables)
        .map_err(|mistakes| found(mistakes.join(&format!("\n{PROGRAM}: {}", of_helper("")))))?;
    let values = values(&settings, &variable(variables), fields, address, SAMPLE_MESSAGE);
    let (shown, request) = match (settings.request.show(&values), settings.request.render(&values))
    {
        (Ok(shown), Ok(request)) => (shown, request),
        (Err(RequestError::Lacking(why)), _) if is_sample => {
            return Err(found(format!("{why}: expected an ADDRESS after --check that has it")));
        }
        (Err(RequestError::Lacking(why)), _) => {
            return Err(found(format!("{why}: do the settings fit ADDRESS_TYPE?")));
        }
        (Err(error), _) | (_, Err(error)) => return Err(refuse(error)),
    };
    say(&shown)?;
    exchange::reach(&request.url, &settings).map_err(|error| match error {
        ExchangeError::TryLater(why) => Exit::try_later(of_helper(&format!("HTTP_URL: {why}"))),
        ExchangeError::Misconfigured(why) => found(format!("HTTP_URL: {why}")),
        ExchangeError::Failed(why) => Exit::unavailable(of_helper(&format!("HTTP_URL: {why}"))),
    })
}

/// Sends one message after the other. The settings are read once, as soon as there are no mistakes
/// in them; until then, each message is answered with all mistakes.
fn stay(config: Option<&Path>) -> Result<(), Exit> {
    let variables = variables(config)?;
    let mut settings = None;
    let mut gateway = Gateway::lasting();
    serve(|order| {
        let address = &order.argument;
        let fields =
            fields(address).map_err(|complaint| usage(&format!("ADDRESS: {complaint}")))?;
        let settings = match &mut settings {
            Some(settings) => settings,
            none => none.insert(read_settings(&variables)?),
        };
        let message = tidy_message(order.message.as_bytes());
        let message = message.map_err(Exit::unavailable)?;
        let values = values(settings, &|name| order.variable(name), fields, address, &message);
        deliver(settings, &values, &mut gateway)
    })
}

/// The usual error would repeat the arguments, and with them an address.
fn usage(complaint: &str) -> Exit {
    Exit::usage(format!("{complaint}; try '{PROGRAM} --help'"))
}

/// The fields of an address, which is a JSON object of texts.
fn fields(address: &str) -> Result<Values, &'static str> {
    let fields: Result<Values, _> = serde_json::from_str(address);
    fields.ok().filter(|fields| !fields.is_empty()).ok_or(
        "this is not a JSON object of texts: expected one such as \
         {\"CONTACT_PHONE\":\"+41791234567\"}",
    )
}

/// The settings, or all mistakes in them.
fn read_settings(variables: &BTreeMap<String, String>) -> Result<Settings, Exit> {
    Settings::read(variables).map_err(|mistakes| Exit::misconfigured(mistakes.join("; ")))
}

/// What finds a variable.
fn variable<'a>(variables: &'a BTreeMap<String, String>) -> impl Fn(&str) -> Option<&'a str> {
    move |name: &str| variables.get(name).map(String::as_str)
}

/// The variables of the environment, and the options of the configuration, which win.
fn variables(config: Option<&Path>) -> Result<BTreeMap<String, String>, Exit> {
    let mut variables = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let (name, value) = (name.to_string_lossy().into_owned(), value.into_string());
        let ours = name.starts_with("HTTP_") || name.starts_with("CHALLENGER_");
        match value {
            Ok(value) => drop(variables.insert(name, value)),
            Err(_) if ours => return Err(Exit::misconfigured(format!("{name} is not UTF-8"))),
            Err(_) => {}
        }
    }
    if let Some(file) = config {
        variables.extend(helper_settings(file)?);
    }
    Ok(variables)
}

/// The values of all variables of the request. The program's own come last, so that no field of an
/// address takes their place.
fn values<'a>(
    settings: &Settings,
    variable: &dyn Fn(&str) -> Option<&'a str>,
    fields: Values,
    address: &str,
    message: &str,
) -> Values {
    let mut values = fields;
    let phone = values.get("CONTACT_PHONE").map(|phone| phone.strip_prefix('+').unwrap_or(phone));
    let is_digits = |text: &&str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let digits = phone.filter(is_digits).map(ToOwned::to_owned);
    let variable = |name: &str| variable(name).map(plain).unwrap_or_default();
    let language = Some(variable("CHALLENGER_LANGUAGE")).filter(|it| !it.is_empty());
    values.remove("phone_digits");
    let own = [
        ("address", Some(address.to_owned())),
        ("language", Some(language.unwrap_or_else(|| "en".to_owned()))),
        ("message", Some(message.to_owned())),
        ("phone_digits", digits),
        ("subject", Some(variable("CHALLENGER_SUBJECT"))),
    ];
    values.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    values.extend(settings.values.clone());
    values
}

fn refuse(error: RequestError) -> Exit {
    match error {
        RequestError::Lacking(why) => {
            Exit::misconfigured(format!("{why}: do the settings fit ADDRESS_TYPE?"))
        }
        RequestError::Unfit(why) => Exit::address_refused(format!("the address {why}")),
    }
}

/// Sends the message, and judges the answer.
fn deliver(settings: &Settings, values: &Values, gateway: &mut Gateway) -> Result<(), Exit> {
    let request = settings.request.render(values).map_err(refuse)?;
    let private = private(settings, values);
    let answer = gateway.exchange(request, settings).map_err(|error| match error {
        ExchangeError::TryLater(why) => Exit::try_later(why),
        ExchangeError::Misconfigured(why) => Exit::misconfigured(why),
        ExchangeError::Failed(why) => Exit::unavailable(private.hide(&why)),
    })?;
    let exit: fn(String) -> Exit = match settings.verdicts.judge(&answer) {
        Verdict::Sent => return Ok(()),
        Verdict::UnknownAddress => Exit::address_refused,
        Verdict::TryLater => Exit::try_later,
        Verdict::Misconfigured => Exit::misconfigured,
        Verdict::Failed => Exit::unavailable,
    };
    Err(exit(explanation(&answer, &private)))
}

/// What must not be printed: the address, the message and the secrets.
fn private(settings: &Settings, values: &Values) -> Private {
    let mut private = Private::default();
    settings.secrets.iter().for_each(|secret| private.add_secret(secret));
    let is_open = |name: &str| name == "language" || settings.values.contains_key(name);
    for (name, value) in values.iter().filter(|(name, _)| !is_open(name)) {
        match name.as_str() {
            // As a whole only: its parts include the names of fields, and "Phone" may be said. The
            // values of the fields are beside it.
            "address" => private.add_secret(value),
            "message" | "subject" => private.add_message(value),
            _ => private.add_address(value),
        }
    }
    private
}

/// The gateway's answer on one line, without anything private that it repeats.
fn explanation(answer: &Answer, private: &Private) -> String {
    let said = private.hide(&answer.body);
    let redirect = match answer.status {
        300..=399 => ", a redirect, which is not followed: expected the final address in HTTP_URL",
        _ => "",
    };
    let between = if said.is_empty() { "" } else { ": " };
    format!("the gateway answered {}{redirect}{between}{said}", answer.status)
}
