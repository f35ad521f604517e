//! The head of a story: how the service is configured, who its clients are, and what time it is.

use challenger_proto::address::{AddressType, Destination, Fields, Restrictions};
use challenger_proto::http::{Document, Documents, Inline, PageName};
use challenger_proto::oauth::{Client, ClientId, ClientName, HashedSecret, RedirectUri};
use challenger_proto::store::MessageBudget;
use challenger_proto::{
    AddressFormat, Entropy, Failure, FailureKind, Refusal, Refused, Service, Span, Timestamp,
};

/// Where a story begins.
pub struct Head {
    pub service: Service,
    pub clients: Vec<Registered>,
    pub start: Timestamp,
}

/// A client, as the head of a story registers it.
pub struct Registered {
    pub id: i64,
    pub secret: String,
    pub redirect_uri: String,
    /// How many messages it may have sent in a day; `None`: any number.
    pub messages_per_day: Option<u32>,
    /// Whether browsers may begin by themselves.
    pub open: bool,
    /// Whether the operator has disabled it.
    pub disabled: bool,
    /// What people read as its name.
    pub name: Option<ClientName>,
}

impl Head {
    pub fn parse(options: &str, story: &str) -> Self {
        let lines = || options.lines().map(|line| line.split_once(' ').unwrap_or((line, "")));
        let values = |wanted: &str| -> Vec<&str> {
            lines().filter(|(word, _)| *word == wanted).map(|(_, rest)| rest.trim()).collect()
        };
        let known = [
            "clock",
            "client",
            "config",
            "destination",
            "messages",
            "pages",
            "privacy",
            "style",
            "terms",
        ];
        if let Some((word, _)) = lines().find(|(word, _)| !known.contains(word)) {
            panic!("{story}: the head knows no {word}");
        }
        let configured: Vec<(&str, &str)> =
            values("config").into_iter().map(|line| line.split_once(" = ").unwrap()).collect();
        let address_type = configured.iter().find(|(option, _)| *option == "ADDRESS_TYPE");
        let address_type = address_type.map_or("email", |(_, value)| value);
        let mut service = Service::new(AddressType::new(address_type).unwrap());
        for (option, value) in configured {
            configure(&mut service, option, value, story);
        }
        for line in values("destination") {
            let (destination, budget) = destination(line, story);
            service.budgets.destinations.insert(destination, budget);
        }
        for line in values("pages") {
            let mut inline = Inline::default();
            values("style").iter().for_each(|style| inline.add_style(style));
            add_pages(&mut service, line, &inline);
        }
        for line in values("messages") {
            service.message_languages.extend(line.split(' ').map(String::from));
        }
        service.terms = documents(&values("terms"));
        service.privacy = documents(&values("privacy"));
        let clock = values("clock");
        let start = Timestamp::from_seconds(moment(clock.first().unwrap(), story));
        Self { service, clients: values("client").into_iter().map(client).collect(), start }
    }

    /// The clients as a store keeps them.
    pub fn registered(&self) -> impl Iterator<Item = Client> {
        self.clients.iter().map(|it| Client {
            messages_per_day: it.messages_per_day,
            open: it.open,
            disabled: it.disabled,
            name: it.name.clone(),
            ..Client::new(
                ClientId::new(it.id).unwrap(),
                RedirectUri::parse(&it.redirect_uri).unwrap(),
                HashedSecret::new(&it.secret, Entropy::new([7; 32])),
            )
        })
    }
}

fn configure(service: &mut Service, option: &str, value: &str, story: &str) {
    let small = || value.parse().unwrap_or_else(|_| panic!("{story}: {option} = {value}"));
    let count = || value.parse().unwrap_or_else(|_| panic!("{story}: {option} = {value}"));
    let many = || value.parse().unwrap_or_else(|_| panic!("{story}: {option} = {value}"));
    let span = || Span::seconds(u64::try_from(seconds(value, story)).unwrap());
    let limits = &mut service.limits;
    let budgets = &mut service.budgets;
    match option {
        "ADDRESS_CHANGES" => limits.address_changes = count(),
        "ADDRESS_FIELDS" => service.address_fields = Fields::parse(value).unwrap(),
        "ADDRESS_HINT" => service.address_hint = value.into(),
        "ADDRESS_MESSAGES" if value == "0" => budgets.address = None,
        "ADDRESS_MESSAGES" => budget(&mut budgets.address).messages = many(),
        "ADDRESS_PERIOD" => budget(&mut budgets.address).period = span(),
        "ADDRESS_RESTRICTIONS" => service.restrictions = Restrictions::parse(value).unwrap(),
        "ADDRESS_TYPE" => {}
        "BASE_URL" => service.issuer = Some(value.trim_end_matches('/').into()),
        "SERVICE_NAME" => service.name = value.into(),
        "AUTH_ADDRESS_FORMAT" if value == "plain" => service.address_format = AddressFormat::Plain,
        "CLIENT_VALIDATIONS_MAX" => limits.client_validations = Some(count().into()),
        "CODE_DURATION" => limits.code_duration = span(),
        "PIN_ATTEMPTS" => limits.pin_attempts = small(),
        "PIN_TRANSMISSIONS" => limits.pin_transmissions = small(),
        "RETRANSMISSION_INTERVAL" => limits.retransmission_interval = span(),
        "SERVICE_MESSAGES" => budget(&mut budgets.service).messages = many(),
        "SERVICE_PERIOD" => budget(&mut budgets.service).period = span(),
        "TOKEN_DURATION" => limits.token_duration = span(),
        "VALIDATION_DURATION" => limits.validation_duration = span(),
        "VALIDATION_EXPIRATION" if value == "forever" => {
            limits.validation_expiration = Span::FOREVER;
        }
        "VALIDATION_EXPIRATION" => limits.validation_expiration = span(),
        _ => panic!("{story}: {option} = {value}"),
    }
}

/// A budget whose messages and period are set one after the other.
fn budget(budget: &mut Option<MessageBudget>) -> &mut MessageBudget {
    budget.get_or_insert(MessageBudget { messages: 0, period: Span::days(1) })
}

/// From `PREFIX|DOMAIN|COUNTRY VALUE MESSAGES PERIOD`.
fn destination(line: &str, story: &str) -> (Destination, MessageBudget) {
    let words: Vec<&str> = line.splitn(4, ' ').collect();
    let [kind, text, messages, period] = words[..] else { panic!("{story}: destination {line}") };
    let destination = match kind {
        "COUNTRY" => Destination::country(text),
        "DOMAIN" => Destination::domain(text),
        "PREFIX" => Destination::prefix(text),
        _ => None,
    };
    let period = Span::seconds(u64::try_from(seconds(period, story)).unwrap());
    let budget = MessageBudget { messages: messages.parse().unwrap(), period };
    (destination.unwrap_or_else(|| panic!("{story}: destination {line}")), budget)
}

/// All pages, in English and German, but for those named after `except`; the English ones have the
/// styles of the story.
fn add_pages(service: &mut Service, line: &str, inline: &Inline) {
    let except: Vec<&str> = line.strip_prefix("except").unwrap_or_default().split(' ').collect();
    for name in PageName::ALL {
        if !except.contains(&name.template(&service.address_type).as_str()) {
            service.pages.insert_with(name, "en", inline.clone());
            service.pages.insert(name, "de");
        }
    }
}

/// From lines of `VERSION LANG.EXT TEXT`, all of one version.
fn documents(lines: &[&str]) -> Documents {
    let mut version = "";
    let mut documents = Vec::new();
    for line in lines {
        let (head, rest) = line.split_once(' ').unwrap();
        let (file, text) = rest.split_once(' ').unwrap();
        let (language, extension) = file.split_once('.').unwrap();
        version = head;
        documents.push(Document::new(language, extension, text.into()).unwrap());
    }
    Documents::new(version, documents)
}

/// From `ID SECRET URI`, perhaps with the messages that it may have sent in a day, and then perhaps
/// with `open`.
fn client(line: &str) -> Registered {
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_else(|| panic!("client {line}")).to_owned();
    let (id, secret, redirect_uri) = (word().parse().unwrap(), word(), word());
    let mut client = Registered {
        id,
        secret,
        redirect_uri,
        messages_per_day: None,
        open: false,
        disabled: false,
        name: None,
    };
    while let Some(word) = words.next() {
        match word {
            "disabled" => client.disabled = true,
            "named" => {
                client.name = ClientName::parse(&words.by_ref().collect::<Vec<_>>().join(" "))
            }
            "open" => client.open = true,
            number => client.messages_per_day = Some(number.parse().unwrap()),
        }
    }
    client
}

/// Reads `NAME` or `NAME: detail`.
pub(crate) fn failure(text: &str) -> Failure {
    let (name, how) = text.split_once(": ").unwrap_or_else(|| panic!("how does it fail?"));
    let name = if name.is_empty() { "unknown" } else { name.trim() };
    let kind = FailureKind::ALL.iter().copied().find(|it| it.name() == name);
    Failure::new(kind.unwrap_or_else(|| panic!("there is no failure {name}")), how)
}

pub(crate) fn refused(text: &str) -> Refused {
    let (name, detail) = text.split_once(": ").unwrap_or((text, ""));
    let refusal = Refusal::ALL.iter().copied().find(|it| it.name() == name);
    let refusal = refusal.unwrap_or_else(|| panic!("there is no refusal {name}"));
    if detail.is_empty() { refusal.into() } else { refusal.about(detail) }
}

/// Reads `5`, `+5s`, `10 minutes` or `-1h` as seconds.
pub(crate) fn seconds(text: &str, place: &str) -> i64 {
    let unsigned = text.trim_start_matches(['+', '-']);
    let end = unsigned.find(|it: char| !it.is_ascii_digit()).unwrap_or(unsigned.len());
    let unit = match unsigned[end..].trim() {
        "" | "s" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        other => panic!("{place}: there is no unit {other}"),
    };
    let count: i64 = unsigned[..end].parse().unwrap_or_else(|_| panic!("{place}"));
    if text.starts_with('-') { -count * unit } else { count * unit }
}

/// Reads `2026-01-05T10:00:00Z`.
fn moment(text: &str, story: &str) -> u64 {
    let numbers: Vec<u64> = text
        .split(['-', 'T', ':', 'Z'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or_else(|_| panic!("{story}: clock {text}")))
        .collect();
    let [year, month, day, hour, minute, second] = numbers[..] else {
        panic!("{story}: clock {text}")
    };
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let month_days = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = (1970..year).map(|year| 365 + u64::from(leap(year))).sum::<u64>()
        + month_days.iter().take(usize::try_from(month).unwrap() - 1).sum::<u64>()
        + day
        - 1;
    ((days * 24 + hour) * 60 + minute) * 60 + second
}
