//! The operator's budgets: as they come, none, or so small that all of them are spent.

use challenger_proto::address::{AddressType, Destination};
use challenger_proto::store::MessageBudget;
use challenger_proto::{Budgets, Span};

use crate::Dice;

/// What may be sent in a history.
#[derive(Clone, Debug)]
pub(crate) struct Scarcity {
    pub(crate) budgets: Budgets,
    /// How many messages each client may send in a day.
    pub(crate) clients: [Option<u32>; 2],
}

impl Scarcity {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let mut budgets = Budgets::for_type(&AddressType::new("email").unwrap());
        match dice.below(6) {
            0 => {}
            1 => budgets.address = None,
            _ => budgets.address = Some(few(4, dice)),
        }
        if dice.below(4) == 0 {
            budgets.service = Some(few(12, dice));
        }
        // What nobody may write to at all is a slip of honest people.
        let blocked = MessageBudget { messages: 0, period: Span::days(1) };
        for (domain, budget) in [
            ("example.com", few(8, dice)),
            ("example.org", few(5, dice)),
            ("org", few(5, dice)),
            ("exmaple.com", blocked),
        ] {
            if dice.below(6) == 0 {
                budgets.destinations.insert(Destination::domain(domain).unwrap(), budget);
            }
        }
        // Without a budget, no client is open.
        let clients = [2, 5].map(|rarely| {
            let messages = dice.one_in(rarely).then(|| few(8, dice).messages)?;
            Some(if dice.coin() { messages } else { 1000 })
        });
        Self { budgets, clients }
    }
}

/// A few messages, in a window that is short beside a history, or about as long, or longer.
fn few(most: usize, dice: &mut Dice) -> MessageBudget {
    let messages = u32::try_from(1 + dice.below(most)).unwrap();
    MessageBudget { messages, period: Span::seconds([45, 300, 2000, 10_000][dice.below(4)]) }
}
