//! Where the focus is when a page has loaded.

use crate::complaints::Complaints;
use crate::driver::Browser;
use crate::states::Stage;

/// Says what has the focus if that is not where a person goes on: in the first field that is wrong,
/// else in the first that can be filled in, or on the message about what is wrong. A page without
/// such fields is read from the top, or from where it says what happened.
const MISPLACED: &str = "const at = document.activeElement;
    const fields = [...document.querySelectorAll('input, select, textarea')].filter((it) =>
        it.checkVisibility() && !it.disabled && !it.readOnly);
    const wrong = fields.find((it) => it.ariaInvalid === 'true');
    const alert = at.closest('[role=alert]') !== null;
    const good = fields.length > 0
        ? at === (wrong ?? fields[0]) || alert
        : at === document.body || at.localName === 'h1' || alert;
    return good ? [] : [`the focus is on ${at.localName} ${at.name ?? ''}`];";

#[test]
fn the_focus_is_where_a_person_goes_on() {
    let stage = Stage::build();
    let browser = Browser::start();
    let mut complaints = Complaints::default();
    stage.tour(&browser, |state| {
        let found = browser.script(MISPLACED, &[]);
        let found = found.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_string());
        complaints.add(&state.name, found);
    });
    complaints.assert_none();
}
