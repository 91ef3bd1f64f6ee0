//! One small class runs in every type on every instruction set, and the table shows it. Nothing is timed.

use orogen_bench::{CLASSES, Column, Effort, TYPES, cell, cpus, render};

#[test]
fn a_class_of_every_type_runs_and_is_shown() {
    let class = CLASSES.iter().find(|it| it.name == "compare and select").unwrap();
    for cpu in cpus() {
        let mut cells = Column::new();
        for dtype in TYPES.into_iter().filter(|it| (class.types)(*it)) {
            let found = cell(class, dtype, cpu, Effort::SMOKE, 0.0).unwrap();
            assert!(found.time.is_finite() && found.work > 0.0, "{cpu} {}", dtype.name());
            cells.push((*class, dtype, found, found.time));
        }
        assert_eq!(cells.len(), TYPES.len());
        let table = render(&cells, &TYPES);
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(!table.contains('–'), "{table}");
    }
}

/// Every class that another goes by is there, and f32 has it.
#[test]
fn every_class_goes_by_one_that_f32_has() {
    for class in CLASSES {
        let by = CLASSES.iter().find(|it| it.name == class.by).unwrap();
        assert!((by.types)(TYPES[0]) && by.by == by.name, "{}", class.name);
        assert!(TYPES.into_iter().any(class.types), "{}", class.name);
    }
}
