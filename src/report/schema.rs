//! The schema of `report.json`, made of the types. It ships as `docs/report.schema.json`.

#[path = "../../tests/all/support/schema.rs"]
mod check;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use schemars::generate::SchemaSettings;
    use serde_json::Value;

    use super::super::Report;
    use super::super::impact_text::tests::full;
    use super::super::tests::report;

    /// Returns the schema as the file has it.
    fn schema() -> String {
        // As it is written: a missing value is null, and never absent.
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let mut schema = settings.into_generator().into_root_schema_for::<Report>();
        schema.insert("$id".to_owned(), "urn:flake-herald:report:schema:1".into());
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
        format!("{text}\n")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "it says to write the file, and tests nothing then"
    )]
    #[test]
    fn the_schema_that_ships_is_that_of_the_types() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.schema.json");
        let wanted = schema();
        if std::env::var_os("FLAKE_HERALD_WRITE_SCHEMA").is_some() {
            std::fs::write(&file, &wanted).expect("the schema can be written");
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == wanted,
            "docs/report.schema.json is not that of the types: FLAKE_HERALD_WRITE_SCHEMA=1 cargo test --lib report::schema"
        );
    }

    #[test]
    fn reports_are_what_the_schema_says() {
        let schema: Value = serde_json::from_str(&schema()).expect("a schema is JSON");
        let mut made = report(8, 3, "n", 2);
        for host in &mut made.hosts {
            host.impact = host.diff.as_ref().map(|_| full());
        }
        let faults = |change: &dyn Fn(&mut Value)| {
            let mut value = serde_json::to_value(&made).expect("a report is JSON");
            change(&mut value);
            super::check::faults(&schema, &value)
        };
        assert_eq!(faults(&|_| ()), Vec::<String>::new());
        // Fields may be added.
        assert_eq!(
            faults(&|value| value["hosts"][0]["more"] = Value::Null),
            Vec::<String>::new()
        );
        // The check is one.
        let changes: [fn(&mut Value); 4] = [
            |value| value["hosts"][1]["status"] = "fine".into(),
            |value| value["hosts"][1]["impact"]["reboot"]["needed"] = "yes".into(),
            |value| value["fleet"]["hosts"] = (-1).into(),
            |value| {
                if let Some(input) = value["inputs"][0].as_object_mut() {
                    input.remove("name");
                }
            },
        ];
        for change in changes {
            assert!(!faults(&change).is_empty());
        }
    }
}
