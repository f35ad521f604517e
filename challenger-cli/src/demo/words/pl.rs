//! Polish.

use super::{Ending, Inbox, Proof, Words};

pub(super) const WORDS: Words = Words {
    language: "pl",
    trade: "Ręcznie robiona ceramika",
    behind: "Za kulisami",
    demonstration: "Ten sklep to demonstracja. Niczego nie sprzedajemy, a żadna wiadomość nie \
                    opuszcza tego komputera.",

    order: "Zamówienie",
    product: "Kubek „Alba”",
    details: "Toczony ręcznie, 350 ml. Można myć w zmywarce.",
    delivery: "Dostawa",
    free: "Bezpłatna",
    total: "Razem z VAT",
    price: "24,00 €",

    steps: "Etapy zamówienia",
    basket: "Koszyk",
    payment: "Płatność",

    email: Proof {
        step: "E-mail",
        title: "Potwierdź adres e-mail",
        why: "Tam wyślemy rachunek i informacje o dostawie. Aby mieć pewność, że dotrą, najpierw \
              wyślemy e-mail z kodem.",
        button: "Potwierdź adres e-mail",
        confirmed: "Adres e-mail został potwierdzony",
    },
    phone: Proof {
        step: "Telefon",
        title: "Potwierdź numer telefonu",
        why: "Kurier zapowie dostawę SMS-em. Aby mieć pewność, że wiadomości dotrą, najpierw \
              wyślemy SMS z kodem.",
        button: "Potwierdź numer telefonu",
        confirmed: "Numer telefonu został potwierdzony",
    },
    post: Proof {
        step: "Adres",
        title: "Potwierdź adres pocztowy",
        why: "Tam wyślemy paczkę. Aby mieć pewność, że dotrze, najpierw wyślemy list z kodem.",
        button: "Potwierdź adres pocztowy",
        confirmed: "Adres pocztowy został potwierdzony",
    },

    go_on: "Dziękujemy, można przejść do realizacji zamówienia. Demonstracja kończy się tutaj: nie \
            trzeba nic płacić.",
    stopped: Ending {
        title: "Przerwano potwierdzanie",
        text: "Nic się nie stało. Nie otrzymaliśmy adresu, a koszyk czeka.",
        button: "Zacznij od nowa",
    },
    unavailable: Ending {
        title: "W tej chwili to niemożliwe",
        text: "W tej chwili nie możemy potwierdzać adresów. Koszyk czeka. Prosimy spróbować \
               ponownie za kilka minut.",
        button: "Spróbuj ponownie",
    },
    unknown: Ending {
        title: "Ten link został już użyty",
        text: "Prosimy zacząć od nowa. Koszyk czeka.",
        button: "Zacznij od nowa",
    },
    failed: Ending {
        title: "Nie udało się",
        text: "Coś poszło nie tak po naszej stronie i adres nie został jeszcze potwierdzony. \
               Koszyk czeka.",
        button: "Spróbuj ponownie",
    },
    nothing_here: Ending {
        title: "Nie znaleziono strony",
        text: "Pod tym adresem nic nie ma.",
        button: "Przejdź do strony głównej",
    },
    bad_request: Ending {
        title: "Nie udało się",
        text: "Nie mogliśmy odczytać tego, co wysłała przeglądarka.",
        button: "Przejdź do strony głównej",
    },

    inbox: Inbox {
        title: "Skrzynka odbiorcza",
        hint: [
            "Kod przyjdzie do skrzynki odbiorczej tej demonstracji.",
            "Otwórz ją w nowej karcie",
        ],
        text: "Tu trafiają wszystkie wiadomości tej demonstracji, najnowsze na górze.",
        refresh: "Sprawdź nowe wiadomości",
        empty: "Nie ma jeszcze wiadomości.",
        to: "Do",
        code: "Kod",
        reference: "Numer referencyjny",
        to_shop: "Wróć do sklepu",
        to_service: "Przejdź do usługi",
    },
};
