//! Whatever the template, it is loaded or refused. Seed: `infra/template.yaml`.

#![no_main]

use std::collections::BTreeMap;

use account::template::Template;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Template::load(text, &BTreeMap::new()) {
        assert!(!error.to_string().is_empty());
    }
});
