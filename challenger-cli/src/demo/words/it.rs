//! Italian.

use super::{Ending, Inbox, Proof, Words};

pub(super) const WORDS: Words = Words {
    language: "it",
    trade: "Gres fatto a mano",
    behind: "Dietro le quinte",
    demonstration: "Questo negozio è una dimostrazione: non si vende nulla e nessun messaggio \
                    lascia questo computer.",

    order: "Il Suo ordine",
    product: "Tazza «Alba»",
    details: "Tornita a mano, 35 cl. Lavabile in lavastoviglie.",
    delivery: "Spedizione",
    free: "Gratuita",
    total: "Totale IVA inclusa",
    price: "24,00 €",

    steps: "Fasi dell’ordine",
    basket: "Carrello",
    payment: "Pagamento",

    email: Proof {
        step: "E-mail",
        title: "Confermi il Suo indirizzo e-mail",
        why: "Lì invieremo la ricevuta e gli aggiornamenti sulla consegna. Per essere sicuri che \
              arrivino, prima Le inviamo un codice per e-mail.",
        button: "Conferma il mio indirizzo e-mail",
        confirmed: "Il Suo indirizzo e-mail è confermato",
    },
    phone: Proof {
        step: "Telefono",
        title: "Confermi il Suo numero di telefono",
        why: "Il corriere La avviserà con un SMS. Per essere sicuri che i messaggi arrivino, prima \
              Le inviamo un codice.",
        button: "Conferma il mio numero",
        confirmed: "Il Suo numero di telefono è confermato",
    },
    post: Proof {
        step: "Indirizzo",
        title: "Confermi il Suo indirizzo postale",
        why: "Lì spediremo il Suo pacco. Per essere sicuri che arrivi, prima Le inviamo una \
              lettera con un codice.",
        button: "Conferma il mio indirizzo postale",
        confirmed: "Il Suo indirizzo postale è confermato",
    },

    go_on: "Grazie, il Suo ordine può proseguire. La dimostrazione finisce qui: non c’è nulla da \
            pagare.",
    stopped: Ending {
        title: "Ha scelto di annullare",
        text: "Nessun problema. Non abbiamo ricevuto il Suo indirizzo, e il carrello è ancora qui.",
        button: "Ricomincia",
    },
    unavailable: Ending {
        title: "Al momento non è possibile",
        text: "In questo momento non possiamo confermare indirizzi. Il carrello è ancora qui. \
               Riprovi tra qualche minuto, per favore.",
        button: "Riprova",
    },
    unknown: Ending {
        title: "Questo link è già stato usato",
        text: "Ricominci, per favore. Il carrello è ancora qui.",
        button: "Ricomincia",
    },
    failed: Ending {
        title: "Non ha funzionato",
        text: "Qualcosa è andato storto da parte nostra e il Suo indirizzo non è ancora \
               confermato. Il carrello è ancora qui.",
        button: "Riprova",
    },
    nothing_here: Ending {
        title: "Pagina non trovata",
        text: "A questo indirizzo non c’è nulla.",
        button: "Vai alla pagina iniziale",
    },
    bad_request: Ending {
        title: "Non ha funzionato",
        text: "Non siamo riusciti a leggere ciò che il browser ha inviato.",
        button: "Vai alla pagina iniziale",
    },

    inbox: Inbox {
        title: "Posta in arrivo",
        hint: [
            "Il codice arriva nella posta in arrivo di questa dimostrazione.",
            "Aprila in un’altra scheda",
        ],
        text: "Tutti i messaggi di questa dimostrazione arrivano qui, il più recente per primo.",
        refresh: "Controlla i nuovi messaggi",
        empty: "Non ci sono ancora messaggi.",
        to: "A",
        code: "Codice",
        reference: "Riferimento",
        to_shop: "Torna al negozio",
        to_service: "Vai al servizio",
    },
};
