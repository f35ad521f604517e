//! Portuguese, in words that are good on both sides of the Atlantic.

use super::{Ending, Inbox, Proof, Words};

pub(super) const WORDS: Words = Words {
    language: "pt",
    trade: "Cerâmica feita à mão",
    behind: "Nos bastidores",
    demonstration: "Esta loja é uma demonstração: nada é vendido e nenhuma mensagem sai deste \
                    computador.",

    order: "O seu pedido",
    product: "Caneca “Alba”",
    details: "Moldada à mão, 350 ml. Pode ir à lava-louça.",
    delivery: "Entrega",
    free: "Grátis",
    total: "Total com impostos",
    price: "24,00 €",

    steps: "Etapas do pedido",
    basket: "Carrinho",
    payment: "Pagamento",

    email: Proof {
        step: "E-mail",
        title: "Confirme o seu e-mail",
        why: "Enviaremos para lá o recibo e as novidades da entrega. Para garantir que chegam, \
              enviamos primeiro um código por e-mail.",
        button: "Confirmar o meu e-mail",
        confirmed: "O seu e-mail está confirmado",
    },
    phone: Proof {
        step: "Telefone",
        title: "Confirme o seu número de telefone",
        why: "A transportadora avisará por SMS. Para garantir que as mensagens chegam, enviamos \
              primeiro um código.",
        button: "Confirmar o meu número",
        confirmed: "O seu número de telefone está confirmado",
    },
    post: Proof {
        step: "Endereço",
        title: "Confirme o seu endereço postal",
        why: "O seu pacote será enviado para lá. Para garantir que chega, enviamos primeiro uma \
              carta com um código.",
        button: "Confirmar o meu endereço",
        confirmed: "O seu endereço postal está confirmado",
    },

    go_on: "Obrigado, o seu pedido pode seguir. A demonstração termina aqui: não há nada a pagar.",
    stopped: Ending {
        title: "Confirmação cancelada",
        text: "Sem problema. Não recebemos o seu endereço, e o carrinho continua aqui.",
        button: "Começar de novo",
    },
    unavailable: Ending {
        title: "Neste momento não é possível",
        text: "Neste momento não conseguimos confirmar endereços. O carrinho continua aqui. Tente \
               novamente daqui a alguns minutos.",
        button: "Tentar novamente",
    },
    unknown: Ending {
        title: "Este link já foi usado",
        text: "Comece de novo, por favor. O carrinho continua aqui.",
        button: "Começar de novo",
    },
    failed: Ending {
        title: "Não funcionou",
        text: "Ocorreu um problema do nosso lado, e o seu endereço ainda não está confirmado. O \
               carrinho continua aqui.",
        button: "Tentar novamente",
    },
    nothing_here: Ending {
        title: "Página não encontrada",
        text: "Não há nada neste endereço.",
        button: "Ir para a página inicial",
    },
    bad_request: Ending {
        title: "Não funcionou",
        text: "Não conseguimos ler o que o seu navegador enviou.",
        button: "Ir para a página inicial",
    },

    inbox: Inbox {
        title: "Caixa de entrada",
        hint: ["O código chega à caixa de entrada desta demonstração.", "Abrir em nova janela"],
        text: "Todas as mensagens desta demonstração chegam aqui, a mais recente primeiro.",
        refresh: "Ver se há novas mensagens",
        empty: "Ainda não há mensagens.",
        to: "Para",
        code: "Código",
        reference: "Referência",
        to_shop: "Voltar à loja",
        to_service: "Ir para o serviço",
    },
};
