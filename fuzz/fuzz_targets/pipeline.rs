//! Small heaps against the plain reference of `tests/analysis_naive`, node for node and row for row.
#![no_main]

#[path = "../../tests/analysis_naive/checks.rs"]
mod checks;
mod dice;
#[allow(dead_code, reason = "what makes heaps for the property tests")]
#[path = "../../tests/analysis_naive/model.rs"]
mod model;
#[path = "../../tests/analysis_naive/reference.rs"]
mod reference;

use checks::{check_answers, check_comparison, check_numbers, check_structure, check_views};
use dice::Dice;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut dice = Dice(bytes);
    let choice = dice.byte() % 4;
    let first = dice.heap();
    check_numbers(&first);
    match choice {
        1 => {
            check_views(&first);
            check_answers(&first);
        }
        2 => {
            let second = dice.heap();
            check_comparison(&first, &second);
            check_structure(&first, &second);
        }
        _ => {}
    }
});
