//! Every page in every state that a person can meet, and how to get there.

use challenger_testkit::{Peer, code_of, request, wait_for, wrong};
use serde_json::{Value, json};

use crate::driver::Browser;
use crate::errors::ErrorPages;
use crate::service::{
    EMAIL, ENDLESS, KINDS, LATE, Service, UNCONFIGURED, UNREACHABLE, UNREACHABLE_NAME,
    UNREACHABLE_PHONE, form, to_json,
};
use crate::shop::{HERE, Shop};

/// Accepts addresses of one domain.
const OWN_DOMAIN_ONLY: &str = "ADDRESS_RESTRICTIONS = \
    {\"CONTACT_EMAIL\": {\"regex\": \"@own[.]example$\", \"hint\": \"Yours at own.example.\"}}";

/// Sends one message to each address in six hours, and none to one domain.
const THRIFTY: &str = "ADDRESS_MESSAGES = 1
    ADDRESS_PERIOD = 6 h
    RETRANSMISSION_INTERVAL = 0 s
    [challenger-destination-blocked]
    DOMAIN = blocked.example
    MESSAGES = 0
    [challenger]";

/// Services in which every state can be reached.
pub struct Stage {
    /// Where people come from.
    _shop: Shop,
    /// One for each type of address; the first takes e-mail.
    services: Vec<Service>,
    /// One message to each of two addresses, and one guess.
    meagre: Service,
    /// One guess for each message, and no wait for the next.
    eager: Service,
    /// One message to each address in six hours, none to one domain, and no wait for the next.
    thrifty: Service,
    /// One message in all, in a time that is longer than a validation.
    silent: Service,
    /// Its only helper is at work; and the person it works for.
    busy: Service,
    _served: Peer,
    /// It does not accept any more what the shop proposed; and a link from before.
    _tightened: Service,
    tightened_link: String,
    /// Its database cannot be read any more; and a link to it. It remembers the row of the link, so
    /// only what loads more than that row notices.
    broken: Service,
    broken_link: String,
    errors: ErrorPages,
}

/// A page in a certain state.
pub struct State {
    pub name: String,
    /// The HTTP status that it comes with.
    pub status: u16,
    way: Way,
}

/// The last action of a browser on its way to a page.
enum Way {
    Open(String),
    /// Sends a form to a URL.
    Send(String, Vec<(String, String)>),
}

/// One person at a service: a validation.
struct Visit<'a> {
    service: &'a Service,
    link: String,
}

impl Stage {
    pub fn build() -> Self {
        let shop = Shop::open();
        // So long a wait that a page has the same state however slow the tests are.
        let wait = "RETRANSMISSION_INTERVAL = 1 day\nADDRESS_MESSAGES = 100";
        let services = KINDS.iter().map(|kind| Service::start(kind, &shop, wait)).collect();
        let email = |options: &str| Service::start(EMAIL, &shop, options);
        let meagre = email("ADDRESS_CHANGES = 2\nPIN_TRANSMISSIONS = 1\nPIN_ATTEMPTS = 1");
        let eager = email("PIN_ATTEMPTS = 1\nRETRANSMISSION_INTERVAL = 0 s");
        let thrifty = email(THRIFTY);
        let silent = email("SERVICE_MESSAGES = 1\nSERVICE_PERIOD = 9 days");
        let busy = email("HELPERS_MAX = 1\nHELPERS_WAIT = 0\nAUTH_TIMEOUT = 1 day");
        let served = Visit::new(&busy).keeps_the_helper();
        let mut tightened = email("");
        let mut proposal = to_json(EMAIL.good);
        proposal["read_only"] = json!(true);
        let tightened_link = tightened.link(proposal, HERE);
        tightened.start_again(OWN_DOMAIN_ONLY);
        let broken = email("");
        let broken_link = Visit::new(&broken).link;
        let errors = ErrorPages::of(&broken.site);
        broken.break_database();
        Self {
            services,
            meagre,
            eager,
            thrifty,
            silent,
            busy,
            _served: served,
            _tightened: tightened,
            tightened_link,
            broken,
            broken_link,
            errors,
            _shop: shop,
        }
    }

    /// Shows each state once.
    pub fn tour(&self, browser: &Browser, mut look: impl FnMut(&State)) {
        let states = [
            self.address_states(),
            self.undelivered_states(),
            self.over_budget_states(),
            self.other_states(),
            self.edge_states(),
        ];
        for state in states.into_iter().flatten() {
            state.show(browser);
            look(&state);
        }
    }

    /// The forms for the address, and the answers to impossible addresses.
    pub fn address_states(&self) -> Vec<State> {
        let mut states = Vec::new();
        for service in &self.services {
            let proposal = to_json(service.kind.good);
            let mut fixed = proposal.clone();
            fixed["read_only"] = json!(true);
            let visit = |proposal| Visit { service, link: service.link(proposal, HERE) };
            let named = |state| format!("address-{}-{state}", service.kind.name);
            states.extend([
                open(&named("fresh"), 200, visit(Value::Null).link),
                open(&named("prefilled"), 200, visit(proposal).link),
                open(&named("read-only"), 200, visit(fixed).link),
                visit(Value::Null).sends_address(&named("bad"), 400, service.kind.bad),
            ]);
        }
        let letter = Visit::new(&self.services[2]);
        states.push(letter.sends_address("address-postal-empty", 400, &[]));
        states.push(open("address-stuck", 400, self.tightened_link.clone()));
        let last = Visit::new(&self.meagre);
        last.address(&[("CONTACT_EMAIL", "a@example.com")]);
        last.address(&[("CONTACT_EMAIL", "b@example.com")]);
        states.push(open("address-email-no-changes-left", 200, last.link));
        states
    }

    /// The pages about messages that could not be sent.
    pub fn undelivered_states(&self) -> Vec<State> {
        let email = &self.services[0];
        let at = |address: &'static str| [("CONTACT_EMAIL", address)];
        let fixed = json!({"CONTACT_EMAIL": UNREACHABLE, "read_only": true});
        let fixed = Visit { service: email, link: email.link(fixed, HERE) };
        let last = Visit::new(&self.meagre);
        last.address(&at("a@example.com"));
        let [phone, post] = [1, 2].map(|kind| Visit::new(&self.services[kind]));
        let number = [("CONTACT_PHONE", UNREACHABLE_PHONE)];
        let mut letter = post.service.kind.good.to_vec();
        letter[0].1 = UNREACHABLE_NAME;
        let refused = |state| format!("address-refused-{state}");
        vec![
            Visit::new(email).sends_address(&refused("by-email"), 502, &at(UNREACHABLE)),
            phone.sends_address(&refused("by-phone"), 502, &number),
            post.sends_address(&refused("by-post"), 502, &letter),
            fixed.sends_address(&refused("though-fixed"), 502, &at(UNREACHABLE)),
            last.sends_address(&refused("after-the-last-change"), 502, &at(UNREACHABLE)),
            Visit::new(email).sends_address("message-not-sent-yet", 502, &at(LATE)),
            Visit::new(email).sends_address("message-not-sent", 502, &at(UNCONFIGURED)),
        ]
    }

    /// The pages about a message that is one too many for the address or the service.
    pub fn over_budget_states(&self) -> Vec<State> {
        let ada = EMAIL.good;
        let sent = Visit::new(&self.thrifty);
        sent.address(ada);
        let other = Visit::new(&self.thrifty);
        other.address(&[("CONTACT_EMAIL", "bob@example.com")]);
        let fixed = |address: &str| {
            let proposal = json!({"CONTACT_EMAIL": address, "read_only": true});
            Visit { service: &self.thrifty, link: self.thrifty.link(proposal, HERE) }
        };
        let blocked = [("CONTACT_EMAIL", "ada@blocked.example")];
        Visit::new(&self.silent).address(ada);
        vec![
            sent.sends_address("over-budget-with-a-code", 429, ada),
            other.sends_address("over-budget-with-a-code-elsewhere", 429, ada),
            Visit::new(&self.thrifty).sends_address("over-budget", 429, ada),
            fixed("ada@example.com").sends_address("over-budget-though-fixed", 429, ada),
            fixed(blocked[0].1).sends_address("over-budget-for-ever", 429, &blocked),
            Visit::new(&self.silent).sends_address("over-budget-for-all", 429, ada),
        ]
    }

    /// The pages for people without a link, and those of a proxy that cannot pass requests on.
    pub fn edge_states(&self) -> Vec<State> {
        let mut states = vec![open("landing", 200, self.services[0].site.url(""))];
        for status in [404, 413, 429, 502] {
            states.push(open(&format!("proxy-{status}"), status, self.errors.url(status)));
        }
        states
    }

    /// All other pages.
    pub fn other_states(&self) -> Vec<State> {
        let email = &self.services[0];
        let ada = EMAIL.good;
        let sent = |service| {
            let visit = Visit::new(service);
            visit.address(ada);
            visit
        };
        let letter = Visit::new(&self.services[2]);
        let query = "response_type=code&client_id=1";
        let unknown = email.site.url(&format!("authorize/{}?{query}", "0".repeat(52)));
        let pushed = "client_id=1&request_uri=urn:ietf:params:oauth:request_uri:0";
        let pushed = email.site.url(&format!("authorize?{pushed}"));
        let not_pushed = email.site.url(&format!("authorize?{query}"));
        let slash = Visit::new(email).link.replace("?", "/?");
        let half = Visit::new(email).link.replace("response_type", "type");
        let done = sent(email);
        let code = email.latest_code();
        done.redeem(&code);
        let over = sent(&self.meagre);
        over.guess_wrong();
        over.address(&[("CONTACT_EMAIL", "b@example.com")]);
        let unsent = Visit::new(email);
        unsent.address(&[("CONTACT_EMAIL", LATE)]);
        let last_change = sent(&self.meagre);
        last_change.address(&[("CONTACT_EMAIL", UNREACHABLE)]);
        let third = [("CONTACT_EMAIL", "c@example.com")];
        let exhausted = sent(&self.eager);
        exhausted.guess_wrong();
        let broken = Visit { service: &self.broken, link: self.broken_link.clone() };
        vec![
            Visit::new(email).sends_address("code-sent", 200, ada),
            sent(email).sends_address("code-not-sent-again-yet", 200, ada),
            Visit::new(&self.eager).sends_address("code-sent-and-may-be-again", 200, ada),
            letter.sends_address("code-sent-by-post", 200, letter.service.kind.good),
            sent(email).guesses_wrong("code-wrong", 403),
            sent(&self.eager).guesses_wrong("code-wrong-no-tries-left", 403),
            exhausted.guesses_wrong("code-not-judged", 403),
            sent(&self.meagre).guesses_wrong("code-wrong-only-another-address", 403),
            over.guesses_wrong("too-many-attempts", 429),
            last_change.sends_address("too-many-changes-but-a-message-left", 429, &third),
            unsent.guesses("code-not-sent-yet", 403, "1234-5678"),
            sent(email).guesses("code-malformed", 400, "1234"),
            Visit::new(email).guesses("code-without-message", 403, "1234-5678"),
            Visit::new(&self.busy).sends_address("helpers-busy", 503, ada),
            done.guesses("already-done", 200, &code),
            open("unknown-link", 404, unknown),
            open("link-with-a-slash-at-its-end", 404, slash),
            open("bad-request", 400, half),
            open("pushed-request-is-over", 404, pushed),
            open("request-was-not-pushed", 400, not_pushed),
            broken.sends_address("internal-error", 500, ada),
        ]
    }
}

impl State {
    /// Brings the browser there.
    pub fn show(&self, browser: &Browser) {
        match &self.way {
            Way::Open(url) => browser.open(url),
            Way::Send(url, fields) => {
                // A page may only send forms where its policy lets it; the empty one has none.
                browser.open("about:blank");
                let send = || {
                    browser.script(SEND, &[json!(url), json!(fields)]);
                };
                browser.follow(send);
            }
        }
        let status = "return performance.getEntriesByType('navigation')[0].responseStatus";
        let status = browser.script(status, &[]);
        assert_eq!(status, self.status, "{}: {}", self.name, browser.text());
    }
}

/// Sends a form that no page has: to a URL, with fields as pairs.
const SEND: &str = "const [url, fields] = arguments;
    const form = document.createElement('form');
    form.method = 'post';
    form.action = url;
    for (const [name, value] of fields) {
        const field = document.createElement('textarea');
        field.name = name;
        field.value = value;
        form.append(field);
    }
    document.body.append(form);
    form.submit();";

impl<'a> Visit<'a> {
    fn new(service: &'a Service) -> Self {
        Self { service, link: service.link(Value::Null, HERE) }
    }

    /// The path of a step, below the service's URL.
    fn path(&self, step: &str) -> String {
        let (_, rest) = self.link.split_once("authorize/").unwrap();
        format!("{step}/{}", rest.split('?').next().unwrap())
    }

    /// Sends the address; the page's answer does not matter.
    fn address(&self, fields: &[(&str, &str)]) {
        self.service.site.post(&self.path("challenge"), &[], form(fields));
    }

    /// Sends an address for which the helper works without end.
    fn keeps_the_helper(&self) -> Peer {
        let mut peer = self.service.site.connect();
        let body = form(&[("CONTACT_EMAIL", ENDLESS)]);
        assert!(peer.send(request("POST", &self.path("challenge"), &[], body.as_bytes())));
        wait_for("the helper to begin", || {
            (!self.service.site.messages().is_empty()).then_some(())
        });
        peer
    }

    fn guess_wrong(&self) {
        let code = wrong(&self.service.latest_code());
        self.service.site.post(&self.path("solve"), &[], form(&[("pin", &code)]));
    }

    fn redeem(&self, code: &str) {
        let reply = self.service.site.post(&self.path("solve"), &[], form(&[("pin", code)]));
        self.service.redeem(&code_of(reply.header("Location").unwrap()));
    }

    /// The page that comes of this address.
    fn sends_address(&self, name: &str, status: u16, fields: &[(&str, &str)]) -> State {
        self.sends(name, status, "challenge", fields)
    }

    /// The page that comes of this code.
    fn guesses(&self, name: &str, status: u16, code: &str) -> State {
        self.sends(name, status, "solve", &[("pin", code)])
    }

    fn guesses_wrong(&self, name: &str, status: u16) -> State {
        self.guesses(name, status, &wrong(&self.service.latest_code()))
    }

    fn sends(&self, name: &str, status: u16, step: &str, fields: &[(&str, &str)]) -> State {
        let url = self.service.site.url(&self.path(step));
        let fields = fields.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        State { name: name.to_string(), status, way: Way::Send(url, fields.collect()) }
    }
}

fn open(name: &str, status: u16, url: String) -> State {
    State { name: name.to_string(), status, way: Way::Open(url) }
}
