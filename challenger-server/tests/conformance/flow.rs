//! One validation from `/setup` to `/token` on a store, and every secret that came up on the way.

use challenger_proto::address::AddressType;
use challenger_proto::http::{Request, Response};
use challenger_proto::store::Commit;
use challenger_proto::{Entropy, Service, Step};
use challenger_server::store::{Registry, Store};
use challenger_testkit::Dice;

use super::{NOW, register};

const CLIENT_SECRET: &str = "secret-token:correct-horse-battery-staple";
const REDIRECT_URI: &str = "https://client.example/flow";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The address that is validated; a store does contain it.
pub(crate) const ADDRESS: &str = "ada.lovelace@example.com";

/// Makes the validation, and returns what must not be found in the store.
pub(crate) fn secrets_of_a_flow(store: &dyn Store, registry: &dyn Registry) -> Vec<Vec<u8>> {
    let client = register(registry, REDIRECT_URI, CLIENT_SECRET).id;
    let mut flow = Flow {
        store,
        service: Service::new(AddressType::new("email").unwrap()),
        dice: Dice::Seeded(5),
        drawn: [0; 32],
        pin: String::new(),
    };
    let bearer = format!("Bearer {CLIENT_SECRET}");
    let setup =
        flow.ask(&Request::post(&format!("/setup/{client}"), "").with("Authorization", &bearer));
    let nonce = member(&setup, "nonce");
    let nonce_bytes = flow.drawn;
    let authorize = format!(
        "/authorize/{nonce}?response_type=code&client_id={client}&redirect_uri={REDIRECT_URI}&\
        state=s1&scope=s2&code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    flow.ask(&Request::post(&authorize, ""));
    let address = format!("CONTACT_EMAIL={ADDRESS}");
    flow.ask(&Request::post(&format!("/challenge/{nonce}"), address));
    let pin = flow.pin.clone();
    let solved = flow.ask(&Request::post(&format!("/solve/{nonce}"), format!("pin={pin}")));
    let (_, location) = solved.headers.iter().find(|(name, _)| *name == "Location").unwrap();
    let (_, query) = location.split_once("code=").unwrap();
    let code = query.split('&').next().unwrap();
    let form = format!(
        "client_id={client}&client_secret={CLIENT_SECRET}&grant_type=authorization_code&\
        code={code}&redirect_uri={REDIRECT_URI}&code_verifier={VERIFIER}"
    );
    let redeemed = flow.ask(&Request::post("/token", form));
    let token = member(&redeemed, "access_token");
    let bearer = format!("Bearer {token}");
    let info = flow.ask(&Request::get("/info").with("Authorization", &bearer));
    assert_eq!(member(&info, "address_type"), "email");

    let (_, code_proof) = code.split_once('-').unwrap();
    let spelled_pin = format!("{}-{}", &pin[..4], &pin[4..]);
    let texts = [CLIENT_SECRET, &nonce, &pin, &spelled_pin, code_proof, &token, VERIFIER];
    let mut secrets: Vec<_> = texts.map(|text| text.as_bytes().to_vec()).into();
    // The last write was that of `/token`.
    secrets.extend([nonce_bytes.to_vec(), flow.drawn.to_vec()]);
    secrets
}

struct Flow<'a> {
    store: &'a dyn Store,
    service: Service,
    dice: Dice,
    /// The bytes of the last decision that wrote something.
    drawn: [u8; 32],
    /// The PIN of the last message.
    pin: String,
}

impl Flow<'_> {
    fn ask(&mut self, request: &Request) -> Response {
        let service = self.service.clone();
        let mut step = Step::begin(request, &service, NOW);
        let mut entropy = [0; 32];
        let response = loop {
            step = match step {
                Step::Load(it) => {
                    entropy = self.dice.bytes();
                    let rows = self.store.load(it.keys()).unwrap();
                    it.loaded(rows, NOW, Entropy::new(entropy))
                }
                Step::Commit(it) => {
                    assert_eq!(self.store.commit(it.write()), Ok(Commit::Done));
                    self.drawn = entropy;
                    it.done()
                }
                Step::Send(it) => {
                    self.pin = it.message().pin.digits().to_owned();
                    it.sent()
                }
                Step::Respond(response) => break response,
            };
        };
        assert!(response.status.0 < 400, "{}: {:?}", request.target, response.refusal);
        response
    }
}

fn member(response: &Response, name: &str) -> String {
    response.member(name).unwrap().as_str().unwrap().to_owned()
}
