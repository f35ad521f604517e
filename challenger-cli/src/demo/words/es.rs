//! Spanish.

use super::{Ending, Inbox, Proof, Words};

pub(super) const WORDS: Words = Words {
    language: "es",
    trade: "Gres hecho a mano",
    behind: "Entre bastidores",
    demonstration: "Esta tienda es una demostración: no se vende nada y ningún mensaje sale de \
                    este ordenador.",

    order: "Su pedido",
    product: "Taza «Alba»",
    details: "Torneada a mano, 35 cl. Apta para lavavajillas.",
    delivery: "Envío",
    free: "Gratis",
    total: "Total con IVA",
    price: "24,00 €",

    steps: "Pasos de su pedido",
    basket: "Cesta",
    payment: "Pago",

    email: Proof {
        step: "Correo",
        title: "Confirme su dirección de correo",
        why: "Allí le enviaremos la factura y las novedades de la entrega. Para asegurarnos de \
              que le llegan, primero le enviamos un código por correo electrónico.",
        button: "Confirmar mi dirección de correo",
        confirmed: "Su dirección de correo está confirmada",
    },
    phone: Proof {
        step: "Teléfono",
        title: "Confirme su número de teléfono",
        why: "El repartidor le avisará por SMS. Para asegurarnos de que le llegan los mensajes, \
              primero le enviamos un código.",
        button: "Confirmar mi número",
        confirmed: "Su número de teléfono está confirmado",
    },
    post: Proof {
        step: "Dirección",
        title: "Confirme su dirección postal",
        why: "Allí le enviaremos el paquete. Para asegurarnos de que le llega, primero le enviamos \
              una carta con un código.",
        button: "Confirmar mi dirección postal",
        confirmed: "Su dirección postal está confirmada",
    },

    go_on: "Gracias, su pedido puede seguir adelante. La demostración termina aquí: no hay nada \
            que pagar.",
    stopped: Ending {
        title: "Ha decidido cancelar",
        text: "No pasa nada. No hemos recibido su dirección, y su cesta sigue aquí.",
        button: "Empezar de nuevo",
    },
    unavailable: Ending {
        title: "Ahora mismo no es posible",
        text: "En este momento no podemos confirmar direcciones. Su cesta sigue aquí. Vuelva a \
               intentarlo dentro de unos minutos, por favor.",
        button: "Volver a intentarlo",
    },
    unknown: Ending {
        title: "Este enlace ya se ha utilizado",
        text: "Empiece de nuevo, por favor. Su cesta sigue aquí.",
        button: "Empezar de nuevo",
    },
    failed: Ending {
        title: "No ha funcionado",
        text: "Algo ha fallado por nuestra parte y su dirección todavía no está confirmada. Su \
               cesta sigue aquí.",
        button: "Volver a intentarlo",
    },
    nothing_here: Ending {
        title: "Página no encontrada",
        text: "No hay nada en esta dirección.",
        button: "Ir a la página de inicio",
    },
    bad_request: Ending {
        title: "No ha funcionado",
        text: "No hemos podido leer lo que ha enviado su navegador.",
        button: "Ir a la página de inicio",
    },

    inbox: Inbox {
        title: "Bandeja de entrada",
        hint: [
            "El código llega a la bandeja de entrada de esta demostración.",
            "Abrirla en otra pestaña",
        ],
        text: "Todos los mensajes de esta demostración llegan aquí, el más reciente primero.",
        refresh: "Ver si hay mensajes nuevos",
        empty: "Todavía no hay mensajes.",
        to: "Para",
        code: "Código",
        reference: "Referencia",
        to_shop: "Volver a la tienda",
        to_service: "Ir al servicio",
    },
};
