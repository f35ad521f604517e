//! German.

use super::{Ending, Inbox, Proof, Words};

pub(super) const WORDS: Words = Words {
    language: "de",
    trade: "Handgemachtes Steinzeug",
    behind: "Hinter den Kulissen",
    demonstration: "Dieser Laden ist eine Vorführung. Verkauft wird nichts, und keine Nachricht \
                    verlässt diesen Computer.",

    order: "Ihre Bestellung",
    product: "Becher „Alba“",
    details: "Von Hand gedreht, 35 cl. Spülmaschinenfest.",
    delivery: "Versand",
    free: "Kostenlos",
    total: "Summe inkl. MwSt.",
    price: "24,00 €",

    steps: "Schritte Ihrer Bestellung",
    basket: "Warenkorb",
    payment: "Zahlung",

    email: Proof {
        step: "E-Mail",
        title: "E-Mail-Adresse bestätigen",
        why: "Dorthin schicken wir Ihre Rechnung und Neuigkeiten zum Versand. Damit sie auch \
              ankommen, senden wir Ihnen zuerst einen Code per E-Mail.",
        button: "E-Mail-Adresse bestätigen",
        confirmed: "Ihre E-Mail-Adresse ist bestätigt",
    },
    phone: Proof {
        step: "Telefon",
        title: "Telefonnummer bestätigen",
        why: "Der Paketdienst kündigt Ihr Paket per SMS an. Damit sie auch ankommt, senden wir \
              Ihnen zuerst einen Code.",
        button: "Telefonnummer bestätigen",
        confirmed: "Ihre Telefonnummer ist bestätigt",
    },
    post: Proof {
        step: "Adresse",
        title: "Postadresse bestätigen",
        why: "Dorthin schicken wir Ihr Paket. Damit es auch ankommt, senden wir Ihnen zuerst einen \
              Brief mit einem Code.",
        button: "Postadresse bestätigen",
        confirmed: "Ihre Postadresse ist bestätigt",
    },

    go_on: "Vielen Dank, Ihre Bestellung kann weitergehen. Die Vorführung endet hier: Zu bezahlen \
            gibt es nichts.",
    stopped: Ending {
        title: "Sie haben abgebrochen",
        text: "Kein Problem. Wir haben Ihre Adresse nicht erhalten, und Ihr Warenkorb ist noch da.",
        button: "Neu beginnen",
    },
    unavailable: Ending {
        title: "Das geht gerade nicht",
        text: "Im Moment können wir keine Adressen bestätigen. Ihr Warenkorb ist noch da. Bitte \
               versuchen Sie es in ein paar Minuten noch einmal.",
        button: "Noch einmal versuchen",
    },
    unknown: Ending {
        title: "Dieser Link wurde schon benutzt",
        text: "Bitte beginnen Sie noch einmal. Ihr Warenkorb ist noch da.",
        button: "Neu beginnen",
    },
    failed: Ending {
        title: "Das hat nicht geklappt",
        text: "Bei uns ist etwas schiefgegangen, und Ihre Adresse ist noch nicht bestätigt. Ihr \
               Warenkorb ist noch da.",
        button: "Noch einmal versuchen",
    },
    nothing_here: Ending {
        title: "Seite nicht gefunden",
        text: "Unter dieser Adresse gibt es nichts.",
        button: "Zur Startseite",
    },
    bad_request: Ending {
        title: "Das hat nicht geklappt",
        text: "Was Ihr Browser gesendet hat, konnten wir nicht lesen.",
        button: "Zur Startseite",
    },

    inbox: Inbox {
        title: "Posteingang",
        hint: ["Der Code kommt im Posteingang dieser Vorführung an.", "In neuem Tab öffnen"],
        text: "Alle Nachrichten dieser Vorführung kommen hier an, die neuesten zuoberst.",
        refresh: "Neue Nachrichten abrufen",
        empty: "Noch sind keine Nachrichten da.",
        to: "An",
        code: "Code",
        reference: "Referenz",
        to_shop: "Zurück zum Laden",
        to_service: "Zum Dienst",
    },
};
