//! Every page in every state: its size, its requests, its language, its layout, whether everybody
//! can use it, and how it looks. Pictures of all that are in `target/browser/screenshots`, as
//! `STATE.LANGUAGE.WIDTH.TASTE.png`; those of Firefox end in `.firefox.png`.

use crate::complaints::Complaints;
use crate::driver::{Browser, Engine, Setup};
use crate::states::Stage;
use crate::view::{DESK, PHONE, Taste, photograph, please, resize};
use crate::{accessible, language, layout, network, view};

/// How pages are looked at: on which width, to which taste.
const LOOKS: [(u32, Taste); 7] = [
    (PHONE, Taste::Light),
    (PHONE, Taste::Dark),
    (DESK, Taste::Light),
    (DESK, Taste::Dark),
    (PHONE, Taste::ForcedColors),
    (PHONE, Taste::ReducedMotion),
    (PHONE, Taste::Print),
];

/// Fewer looks, for languages that are not the first to be looked at.
const FEWER_LOOKS: [(u32, Taste); 2] = [(PHONE, Taste::Light), (DESK, Taste::Dark)];

/// One look, for languages whose pages differ in their words only.
const ONE_LOOK: [(u32, Taste); 1] = [(PHONE, Taste::Light)];

#[test]
fn in_english() {
    tour("en", &LOOKS, Setup::default());
}

#[test]
fn in_dutch() {
    tour("nl", &ONE_LOOK, Setup::default());
}

#[test]
fn in_french() {
    tour("fr", &FEWER_LOOKS, Setup::default());
}

#[test]
fn in_german() {
    tour("de", &FEWER_LOOKS, Setup::default());
}

#[test]
fn in_italian() {
    tour("it", &FEWER_LOOKS, Setup::default());
}

#[test]
fn in_polish() {
    tour("pl", &ONE_LOOK, Setup::default());
}

#[test]
fn in_portuguese() {
    tour("pt", &ONE_LOOK, Setup::default());
}

#[test]
fn in_spanish() {
    tour("es", &FEWER_LOOKS, Setup::default());
}

#[test]
fn in_firefox() {
    tour("en", &LOOKS[..4], Setup { engine: Engine::Firefox, ..Setup::default() });
}

#[test]
fn in_firefox_without_javascript() {
    let setup = Setup { engine: Engine::Firefox, javascript: false, ..Setup::default() };
    tour("en", &FEWER_LOOKS, setup);
}

fn tour(language: &str, looks: &[(u32, Taste)], setup: Setup<'_>) {
    let stage = Stage::build();
    let (languages, _) = language::READERS.iter().find(|(_, it)| *it == language).unwrap();
    let browser = Browser::start_as(Setup { languages, ..setup });
    let end = match (setup.engine, setup.javascript) {
        (Engine::Chromium, _) => "",
        (Engine::Firefox, true) => ".firefox",
        (Engine::Firefox, false) => ".without-javascript.firefox",
    };
    let mut complaints = Complaints::default();
    stage.tour(&browser, |state| {
        let fetched = network::fetched(&browser);
        complaints.add(&state.name, network::complaints(&browser, &fetched));
        complaints.add(&state.name, language::complaints(&browser, &fetched[0], language));
        for (width, taste) in looks {
            resize(&browser, *width, 1);
            please(&browser, *taste);
            let name = format!("{}.{language}.{width}.{}{end}", state.name, taste.name());
            complaints.add(&name, view::complaints(&browser, *taste));
            if matches!(taste, Taste::Light | Taste::Dark) {
                complaints.add(&name, layout::found(&browser, *width));
                // It uses timers, which a page without JavaScript does not have.
                if setup.javascript {
                    complaints.add(&name, accessible::complaints(&browser));
                }
            }
            photograph(&browser, &name);
        }
        complaints.add(&state.name, network::console(&browser));
    });
    complaints.assert_none();
}
