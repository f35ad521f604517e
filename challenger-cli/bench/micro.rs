//! The service without a network, a database or a clock: the cost of one decision, one head, one
//! page, one whole request.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use challenger_proto::address::{AddressType, Fields};
use challenger_proto::http::{Body, Method, Page, PageName, Request};
use challenger_proto::oauth::{Client, ClientId, HashedSecret, RedirectUri};
use challenger_proto::store::{Commit, Records, Rows};
use challenger_proto::{Entropy, Service, Step, Timestamp};
use challenger_server::front::head::parse_head;
use challenger_server::pages::Templates;

use super::flow::escape;
use super::request::Served;
use super::spread::Spread;

const SECRET: &str = "secret-token:0123456789abcdef0123456789abcdef";
const REDIRECT_URI: &str = "https://client.example/callback";
const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");

/// How often something is done between two looks at the clock, and how often that is repeated.
const TIMES: u32 = 200;
const BATCHES: usize = 15;

/// The scales of the inputs: at several of them, costs that are not linear show.
pub const SCALES: [usize; 3] = [1, 10, 100];

/// The routes of which whole requests are measured: those of a flow.
const WHOLE: [&str; 7] =
    ["setup", "authorize", "challenge x1", "solve wrong", "solve right", "token", "info"];

/// Something small to be measured.
pub struct Case {
    pub name: String,
    work: Box<dyn FnMut()>,
}

impl Case {
    fn new(name: impl Into<String>, work: impl FnMut() + 'static) -> Self {
        Self { name: name.into(), work: Box::new(work) }
    }

    /// How many nanoseconds it takes.
    pub fn nanoseconds(&mut self) -> Spread {
        self.measured(TIMES);
        Spread::of((0..BATCHES).map(|_| {
            let begun = Instant::now();
            self.measured(TIMES);
            per(begun.elapsed(), TIMES)
        }))
    }

    /// Does it this many times. Valgrind finds this function by its name, and counts inside of it
    /// only.
    #[inline(never)]
    pub fn measured(&mut self, times: u32) {
        for _ in 0..times {
            (self.work)();
        }
    }
}

fn per(time: Duration, times: u32) -> f64 {
    time.as_nanos() as f64 / f64::from(times)
}

/// All cases, always in this order.
pub fn cases() -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    decisions(&mut cases)?;
    heads(&mut cases);
    Ok(cases)
}

/// A whole service in memory, with one client.
struct World {
    service: Service,
    store: Records,
    drawn: u8,
}

/// A request with the rows that it meets.
struct Scene {
    request: Request,
    rows: Rows,
    now: Timestamp,
    /// The status that it is answered with.
    status: u16,
}

impl Scene {
    /// Decides the request on its rows.
    fn decide<'s>(&self, service: &'s Service) -> Step<'s> {
        match Step::begin(&self.request, service, self.now) {
            Step::Load(it) => it.loaded(self.rows.clone(), self.now, Entropy::new([7; 32])),
            step => step,
        }
    }
}

impl World {
    fn new(templates: &Templates) -> Result<Self, String> {
        let address_type = AddressType::new("email").ok_or("email is no type")?;
        let mut service = Service::new(address_type.clone());
        // An e-mail address has at most 254 bytes, so what grows is another field.
        service.address_fields = Fields::parse("NOTE").map_err(|it| it.to_string())?;
        service.pages = templates.page_set(&address_type);
        let mut store = Records::default();
        store.insert_client(Client::new(
            ClientId::new(1).ok_or("1 is no client")?,
            RedirectUri::parse(REDIRECT_URI).map_err(|it| it.to_string())?,
            HashedSecret::new(SECRET, Entropy::new([1; 32])),
        ));
        Ok(Self { service, store, drawn: 1 })
    }

    /// Carries out a request, and remembers the rows that it met.
    fn ask(&mut self, request: Request) -> Result<(Scene, Answered), String> {
        self.drawn = self.drawn.wrapping_add(1);
        let mut scene = Scene { request, rows: Rows::default(), now: NOW, status: 0 };
        let mut pin = None;
        let mut step = Step::begin(&scene.request, &self.service, NOW);
        let response = loop {
            step = match step {
                Step::Load(it) => {
                    scene.rows = self.store.load(it.keys());
                    it.loaded(scene.rows.clone(), NOW, Entropy::new([self.drawn; 32]))
                }
                Step::Commit(it) => match self.store.commit(it.write()) {
                    Commit::Done => it.done(),
                    Commit::Conflict => {
                        return Err("a conflict without anybody else".to_owned());
                    }
                },
                Step::Send(it) => {
                    pin = Some(it.message().pin.digits().to_owned());
                    it.sent()
                }
                Step::Respond(response) => break response,
            };
        };
        scene.status = response.status.0;
        let location = response.header("Location").map(str::to_owned);
        Ok((scene, Answered { body: response.body, pin, location }))
    }
}

struct Answered {
    body: Body,
    pin: Option<String>,
    location: Option<String>,
}

impl Answered {
    fn member(&self, name: &str) -> Result<String, String> {
        let Body::Json(json) = &self.body else { return Err(format!("no JSON with {name}")) };
        let text = json.get(name).and_then(|it| it.as_str()).map(str::to_owned);
        text.ok_or_else(|| format!("no {name}"))
    }

    /// The page, if it is the one that was meant: a refusal costs less, and would be measured.
    fn page(&self, name: PageName) -> Result<Page, String> {
        match &self.body {
            Body::Page(page) if page.name == name => {
                Ok(Page { name, language: page.language.clone(), data: page.data.clone() })
            }
            _ => Err(format!("no page {name:?}")),
        }
    }
}

/// Route and decide for each step of a flow, and the pages that come of it.
fn decisions(cases: &mut Vec<Case>) -> Result<(), String> {
    let templates = Templates::embedded().map_err(|error| error.to_string())?;
    let templates = Arc::new(templates);
    let mut world = World::new(&templates)?;
    let mut scenes = Vec::new();
    let mut pages = Vec::new();
    let html = [BROWSER];

    let bearer = format!("Bearer {SECRET}");
    let (scene, answer) =
        world.ask(request(Method::Post, "/setup/1", &[("Authorization", &bearer)], ""))?;
    scenes.push(("setup".to_owned(), scene));
    let nonce = answer.member("nonce")?;
    scenes.push(("config".to_owned(), world.ask(request(Method::Get, "/config", &[], ""))?.0));
    let unknown = world.ask(request(Method::Get, "/nowhere", &[], ""))?.0;
    scenes.push(("unknown path".to_owned(), unknown));

    let target = format!(
        "/authorize/{nonce}?response_type=code&client_id=1&redirect_uri={}&state=a1b2c3d4",
        escape(REDIRECT_URI)
    );
    let (scene, answer) = world.ask(request(Method::Get, &target, &html, ""))?;
    scenes.push(("authorize".to_owned(), scene));
    pages.push(("enter-address".to_owned(), answer.page(PageName::EnterAddressForm)?));

    let target = format!("/challenge/{nonce}");
    // First without carrying it out, because only one address can be proved.
    for scale in SCALES {
        let note = "person".repeat(2 * scale);
        let body = format!("CONTACT_EMAIL=person%40bench.example&NOTE={note}");
        let mut other = World { store: world.store.clone(), ..World::new(&templates)? };
        let (scene, answer) = other.ask(request(Method::Post, &target, &html, &body))?;
        scenes.push((format!("challenge x{scale}"), scene));
        pages.push((format!("enter-code x{scale}"), answer.page(PageName::EnterTanForm)?));
    }
    let body = "CONTACT_EMAIL=person%40bench.example";
    let (_, answer) = world.ask(request(Method::Post, &target, &html, body))?;
    let pin = answer.pin.ok_or("no PIN")?;

    let target = format!("/solve/{nonce}");
    let wrong = if pin == "12345678" { "pin=12345679" } else { "pin=12345678" };
    let (scene, answer) = world.ask(request(Method::Post, &target, &html, wrong))?;
    scenes.push(("solve wrong".to_owned(), scene));
    pages.push(("enter-code again".to_owned(), answer.page(PageName::InvalidPin)?));
    let body = format!("pin={pin}");
    let (scene, answer) = world.ask(request(Method::Post, &target, &html, &body))?;
    scenes.push(("solve right".to_owned(), scene));
    let location = answer.location.ok_or("no way back")?;
    let code = location.split(['?', '&']).find_map(|pair| pair.strip_prefix("code="));
    let code = code.ok_or("no code")?;

    let body = format!(
        "grant_type=authorization_code&client_id=1&client_secret={}&code={code}&redirect_uri={}",
        escape(SECRET),
        escape(REDIRECT_URI)
    );
    let (scene, answer) = world.ask(request(Method::Post, "/token", &[], &body))?;
    scenes.push(("token".to_owned(), scene));
    let bearer = format!("Bearer {}", answer.member("access_token")?);
    let info = request(Method::Get, "/info", &[("Authorization", &bearer)], "");
    scenes.push(("info".to_owned(), world.ask(info)?.0));

    add(cases, scenes, pages, world.service, &templates)
}

/// Makes cases of scenes and pages.
fn add(
    cases: &mut Vec<Case>,
    scenes: Vec<(String, Scene)>,
    pages: Vec<(String, Page)>,
    service: Service,
    templates: &Arc<Templates>,
) -> Result<(), String> {
    let service = Arc::new(service);
    for (name, scene) in scenes.iter().filter(|(name, _)| WHOLE.contains(&name.as_str())) {
        cases.push(whole(name, scene, &service, templates)?);
    }
    for (name, scene) in scenes {
        let service = Arc::clone(&service);
        cases.push(Case::new(format!("decide {name}"), move || {
            let _ = black_box(scene.decide(&service));
        }));
    }
    let email = AddressType::new("email").ok_or("email is no type")?;
    for (name, page) in pages {
        let (templates, email) = (Arc::clone(templates), email.clone());
        cases.push(Case::new(format!("render {name}"), move || {
            black_box(templates.render(&page, &email));
        }));
    }
    Ok(())
}

/// A scene from the bytes of its request to those of its answer.
fn whole(
    name: &str,
    scene: &Scene,
    service: &Service,
    templates: &Arc<Templates>,
) -> Result<Case, String> {
    let mut served = Served::new(service, templates, &scene.rows, scene.now, &scene.request);
    let (now, status) = (scene.now, format!("HTTP/1.1 {}", scene.status));
    // A refusal would cost less.
    for _ in 0..2 {
        let answer = served.answer(now).unwrap_or_default();
        if answer != status.as_bytes() {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            return Err(format!("{name} is answered with {answer:?} and not with {status}"));
        }
    }
    Ok(Case::new(format!("request {name}"), move || {
        black_box(served.answer(now));
    }))
}

/// Heads as a browser behind a proxy sends them, with more and more cookies of others.
fn heads(cases: &mut Vec<Case>) {
    for scale in SCALES {
        let cookie = "session=0123456789abcdef0123456789abcdef; theme=dark; consent=all; ";
        let text = format!(
            "POST /solve/{} HTTP/1.1\r\nHost: challenger.example\r\n{}: {}\r\nCookie: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\n\r\n",
            "N".repeat(52),
            BROWSER.0,
            BROWSER.1,
            cookie.repeat(scale),
        );
        cases.push(Case::new(format!("head x{scale}"), move || {
            let _ = black_box(parse_head(black_box(text.as_bytes())));
        }));
    }
}

fn request(method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Request { method, target: target.into(), headers, body: body.into() }
}
