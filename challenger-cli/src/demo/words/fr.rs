//! French.

use super::{Ending, Inbox, Proof, Words};

pub(super) const WORDS: Words = Words {
    language: "fr",
    trade: "Grès fait main",
    behind: "En coulisses",
    demonstration: "Cette boutique est une démonstration : rien n’est vendu, et aucun message ne \
                    quitte cet ordinateur.",

    order: "Votre commande",
    product: "Tasse « Alba »",
    details: "Tournée à la main, 35 cl. Passe au lave-vaisselle.",
    delivery: "Livraison",
    free: "Offerte",
    total: "Total TTC",
    price: "24,00 €",

    steps: "Étapes de votre commande",
    basket: "Panier",
    payment: "Paiement",

    email: Proof {
        step: "E-mail",
        title: "Confirmez votre adresse e-mail",
        why: "Nous y enverrons votre facture et le suivi de la livraison. Pour être sûrs qu’ils \
              vous parviennent, nous vous envoyons d’abord un code par e-mail.",
        button: "Confirmer mon adresse e-mail",
        confirmed: "Votre adresse e-mail est confirmée",
    },
    phone: Proof {
        step: "Téléphone",
        title: "Confirmez votre numéro de téléphone",
        why: "Le livreur vous préviendra par SMS. Pour être sûrs que ses messages vous \
              parviennent, nous vous envoyons d’abord un code.",
        button: "Confirmer mon numéro",
        confirmed: "Votre numéro de téléphone est confirmé",
    },
    post: Proof {
        step: "Adresse",
        title: "Confirmez votre adresse postale",
        why: "Nous y enverrons votre colis. Pour être sûrs qu’il vous parvienne, nous vous \
              envoyons d’abord une lettre avec un code.",
        button: "Confirmer mon adresse postale",
        confirmed: "Votre adresse postale est confirmée",
    },

    go_on: "Merci, votre commande peut suivre son cours. La démonstration s’arrête ici : il n’y a \
            rien à payer.",
    stopped: Ending {
        title: "Vous avez annulé",
        text: "Pas de souci. Nous n’avons pas reçu votre adresse, et votre panier est toujours là.",
        button: "Recommencer",
    },
    unavailable: Ending {
        title: "Impossible pour le moment",
        text: "Nous ne pouvons pas confirmer d’adresse pour le moment. Votre panier est toujours \
               là. Veuillez réessayer dans quelques minutes.",
        button: "Réessayer",
    },
    unknown: Ending {
        title: "Ce lien a déjà été utilisé",
        text: "Veuillez recommencer. Votre panier est toujours là.",
        button: "Recommencer",
    },
    failed: Ending {
        title: "Cela n’a pas fonctionné",
        text: "Un problème est survenu de notre côté, et votre adresse n’est pas encore confirmée. \
               Votre panier est toujours là.",
        button: "Réessayer",
    },
    nothing_here: Ending {
        title: "Page introuvable",
        text: "Il n’y a rien à cette adresse.",
        button: "Aller à la page d’accueil",
    },
    bad_request: Ending {
        title: "Cela n’a pas fonctionné",
        text: "Nous n’avons pas pu lire ce que votre navigateur a envoyé.",
        button: "Aller à la page d’accueil",
    },

    inbox: Inbox {
        title: "Boîte de réception",
        hint: [
            "Le code arrive dans la boîte de réception de cette démonstration.",
            "L’ouvrir dans un nouvel onglet",
        ],
        text: "Tous les messages de cette démonstration arrivent ici, le plus récent en premier.",
        refresh: "Relever les nouveaux messages",
        empty: "Il n’y a pas encore de message.",
        to: "À",
        code: "Code",
        reference: "Référence",
        to_shop: "Retour à la boutique",
        to_service: "Aller au service",
    },
};
