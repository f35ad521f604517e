//! Dutch.

use super::{Ending, Inbox, Proof, Words};

pub(super) const WORDS: Words = Words {
    language: "nl",
    trade: "Handgemaakt steengoed",
    behind: "Achter de schermen",
    demonstration: "Deze winkel is een demonstratie. Er wordt niets verkocht en er gaat geen \
                    bericht deze computer uit.",

    order: "Uw bestelling",
    product: "Mok ‘Alba’",
    details: "Met de hand gedraaid, 35 cl. Vaatwasserbestendig.",
    delivery: "Bezorging",
    free: "Gratis",
    total: "Totaal incl. btw",
    price: "€ 24,00",

    steps: "Stappen van uw bestelling",
    basket: "Winkelmand",
    payment: "Betaling",

    email: Proof {
        step: "E-mail",
        title: "Bevestig uw e-mailadres",
        why: "Daar sturen we uw factuur en nieuws over de bezorging naartoe. Om zeker te weten dat \
              die aankomen, mailen we u eerst een code.",
        button: "Mijn e-mailadres bevestigen",
        confirmed: "Uw e-mailadres is bevestigd",
    },
    phone: Proof {
        step: "Telefoon",
        title: "Bevestig uw telefoonnummer",
        why: "De bezorger kondigt uw pakket aan met een sms. Om zeker te weten dat die aankomt, \
              sturen we u eerst een code.",
        button: "Mijn nummer bevestigen",
        confirmed: "Uw telefoonnummer is bevestigd",
    },
    post: Proof {
        step: "Adres",
        title: "Bevestig uw postadres",
        why: "Daar sturen we uw pakket naartoe. Om zeker te weten dat het aankomt, sturen we u \
              eerst een brief met een code.",
        button: "Mijn postadres bevestigen",
        confirmed: "Uw postadres is bevestigd",
    },

    go_on: "Dank u wel, uw bestelling kan verder. De demonstratie stopt hier: u hoeft niets te \
            betalen.",
    stopped: Ending {
        title: "U bent gestopt",
        text: "Geen probleem. We hebben uw adres niet ontvangen, en uw winkelmand staat er nog.",
        button: "Opnieuw beginnen",
    },
    unavailable: Ending {
        title: "Dat kan nu even niet",
        text: "Op dit moment kunnen we geen adressen bevestigen. Uw winkelmand staat er nog. \
               Probeer het over een paar minuten opnieuw.",
        button: "Opnieuw proberen",
    },
    unknown: Ending {
        title: "Deze link is al gebruikt",
        text: "Begin alstublieft opnieuw. Uw winkelmand staat er nog.",
        button: "Opnieuw beginnen",
    },
    failed: Ending {
        title: "Dat is niet gelukt",
        text: "Er ging bij ons iets mis, en uw adres is nog niet bevestigd. Uw winkelmand staat \
               er nog.",
        button: "Opnieuw proberen",
    },
    nothing_here: Ending {
        title: "Pagina niet gevonden",
        text: "Op dit adres staat niets.",
        button: "Naar de startpagina",
    },
    bad_request: Ending {
        title: "Dat is niet gelukt",
        text: "We konden niet lezen wat uw browser heeft gestuurd.",
        button: "Naar de startpagina",
    },

    inbox: Inbox {
        title: "Postvak",
        hint: [
            "De code komt aan in het postvak van deze demonstratie.",
            "Openen in een nieuw tabblad",
        ],
        text: "Alle berichten van deze demonstratie komen hier aan, het nieuwste bovenaan.",
        refresh: "Kijken of er nieuwe berichten zijn",
        empty: "Er zijn nog geen berichten.",
        to: "Aan",
        code: "Code",
        reference: "Referentie",
        to_shop: "Terug naar de winkel",
        to_service: "Naar de dienst",
    },
};
