//! English.

use super::{Ending, Inbox, Proof, Words};

pub(super) const WORDS: Words = Words {
    language: "en",
    trade: "Handmade stoneware",
    behind: "Behind the scenes",
    demonstration: "This shop is a demonstration. Nothing is sold, and no message leaves this \
                    computer.",

    order: "Your order",
    product: "Mug “Alba”",
    details: "Thrown by hand, 35 cl. Dishwasher safe.",
    delivery: "Delivery",
    free: "Free",
    total: "Total incl. VAT",
    price: "€24.00",

    steps: "Steps of your order",
    basket: "Basket",
    payment: "Payment",

    email: Proof {
        step: "E-mail",
        title: "Confirm your e-mail address",
        why: "Your receipt and news of your delivery will go there. We’ll e-mail you a code to \
              make sure that they reach you.",
        button: "Confirm my e-mail address",
        confirmed: "Your e-mail address is confirmed",
    },
    phone: Proof {
        step: "Phone",
        title: "Confirm your phone number",
        why: "The courier will text you before your parcel arrives. We’ll text you a code to make \
              sure that messages reach you.",
        button: "Confirm my phone number",
        confirmed: "Your phone number is confirmed",
    },
    post: Proof {
        step: "Address",
        title: "Confirm your postal address",
        why: "Your parcel will go there. We’ll send you a letter with a code to make sure that it \
              reaches you.",
        button: "Confirm my postal address",
        confirmed: "Your postal address is confirmed",
    },

    go_on: "Thank you, your order can go ahead. The demonstration ends here: there is nothing to \
            pay.",
    stopped: Ending {
        title: "You chose to stop",
        text: "That’s fine. We did not get your address, and your basket is still here.",
        button: "Start again",
    },
    unavailable: Ending {
        title: "Not possible right now",
        text: "We can’t confirm addresses at the moment. Your basket is still here. Please try \
               again in a few minutes.",
        button: "Try again",
    },
    unknown: Ending {
        title: "This link has been used already",
        text: "Please start again. Your basket is still here.",
        button: "Start again",
    },
    failed: Ending {
        title: "That didn’t work",
        text: "Something went wrong on our side, and your address is not confirmed yet. Your \
               basket is still here.",
        button: "Try again",
    },
    nothing_here: Ending {
        title: "Page not found",
        text: "There is nothing at this address.",
        button: "Go to the start page",
    },
    bad_request: Ending {
        title: "That didn’t work",
        text: "We could not read what your browser sent.",
        button: "Go to the start page",
    },

    inbox: Inbox {
        title: "Inbox",
        hint: ["The code arrives in the inbox of this demonstration.", "Open it in a new tab"],
        text: "All messages of this demonstration arrive here, the newest first.",
        refresh: "Check for new messages",
        empty: "There are no messages yet.",
        to: "To",
        code: "Code",
        reference: "Reference",
        to_shop: "Back to the shop",
        to_service: "Go to the service",
    },
};
