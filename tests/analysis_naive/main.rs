//! The fast analysis against a plain one, on random small heaps.

mod checks;
mod model;
mod reference;

use checks::{check_answers, check_comparison, check_numbers, check_structure, check_views};
use model::{model, plain_objects};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(600), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers(model in model()) {
        check_numbers(&model);
    }

    #[test]
    fn interfaces(model in plain_objects()) {
        check_numbers(&model);
    }

    #[test]
    fn views(model in model()) {
        check_views(&model);
        check_answers(&model);
    }

    #[test]
    fn comparison(before in model(), after in model()) {
        check_comparison(&before, &after);
        check_structure(&before, &after);
    }
}
