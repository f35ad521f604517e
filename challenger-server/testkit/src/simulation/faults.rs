//! Faults, and how often they strike: each seed has its own weather, in which many never strike and
//! some strike often, because faults that all strike a little hide each other.

use crate::Dice;

/// Something that goes wrong outside the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A panic that the server catches.
    Bug,
    /// The client has all the validations that it may have, opened by others.
    ClientFull,
    ClockBack,
    ClockForward,
    /// The store keeps it, and the connection is lost before it says so.
    CommitLost,
    /// The store says that the row moved, and it did not.
    ConflictMadeUp,
    /// The server dies between two steps: whatever is on its way is lost, with the answers.
    Crash,
    /// The helper delivers nothing, and says so.
    HelperFails,
    /// The helper delivers, and says that it did not.
    HelperLies,
    /// Other requests' helpers take all places for a while.
    HelpersTaken,
    /// A request has waited for a place as long as it may.
    OutOfPatience,
    /// Others move the row of a request whenever it has looked.
    Outrun,
    /// The answer does not arrive.
    ResponseLost,
    /// An operator's tool deletes a validation, as after the client's secret was replaced.
    RowDeleted,
    Unreadable,
    /// A page cannot be rendered.
    Unrenderable,
    Unwritable,
}

impl Fault {
    pub const ALL: [Self; 17] = [
        Self::Bug,
        Self::ClientFull,
        Self::ClockBack,
        Self::ClockForward,
        Self::CommitLost,
        Self::ConflictMadeUp,
        Self::Crash,
        Self::HelperFails,
        Self::HelperLies,
        Self::HelpersTaken,
        Self::OutOfPatience,
        Self::Outrun,
        Self::ResponseLost,
        Self::RowDeleted,
        Self::Unreadable,
        Self::Unrenderable,
        Self::Unwritable,
    ];

    /// How often it may strike at most, in a thousand chances.
    const fn most(self) -> usize {
        match self {
            Self::Crash | Self::ClockForward | Self::Outrun | Self::RowDeleted => 10,
            Self::Bug | Self::ClockBack | Self::Unrenderable => 30,
            Self::CommitLost | Self::ResponseLost | Self::Unreadable | Self::Unwritable => 100,
            Self::ClientFull | Self::HelpersTaken | Self::OutOfPatience => 200,
            Self::ConflictMadeUp | Self::HelperFails | Self::HelperLies => 500,
        }
    }
}

/// How often each strikes, in a thousand chances.
#[derive(Clone, Debug)]
pub struct Weather([usize; Fault::ALL.len()]);

impl Weather {
    /// Nothing goes wrong.
    pub const CALM: Self = Self([0; Fault::ALL.len()]);

    /// Some of the faults, each with a weight of its own.
    pub fn draw(dice: &mut Dice) -> Self {
        Self(Fault::ALL.map(|fault| match dice.below(2) {
            0 => 0,
            _ => 1 + dice.below(fault.most()),
        }))
    }

    pub fn strikes(&self, fault: Fault, dice: &mut Dice) -> bool {
        let place = Fault::ALL.iter().position(|it| *it == fault).unwrap();
        dice.chance(self.0[place])
    }
}
