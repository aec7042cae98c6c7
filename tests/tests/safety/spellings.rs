//! Places in words, over all spellings that one can think of: whatever a place is written as, it overlaps itself, what is
//! above it, and what is below it.

use proptest::prelude::*;
use rules::place::{Place, named_in};
use rules::s3_location::S3Location;

fn place(parts: &[String]) -> Place {
    let location: S3Location = format!("s3://data/{}/", parts.join("/")).parse().unwrap();
    Place::from(&location)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_place_is_found_in_any_word_that_names_it_or_its_parents_or_children(
        parts in prop::collection::vec("[a-zA-Z0-9_=.-]{1,8}", 1..5)
            .prop_filter("no way up", |parts| parts.iter().all(|part| !part.trim_matches('.').is_empty())),
        scheme in prop::sample::select(vec!["s3", "s3a", "s3n", "S3", "S3A", "s3N"]),
        bucket in prop::sample::select(vec!["data", "DATA", "key:secret@data", "${BUCKET}", "*"]),
        depth in 0_usize..6,
        slashes in prop::sample::select(vec!["/", "//"]),
        end in prop::sample::select(vec!["", "/", "/*", "*", "/part-0", "/{a,b}/c", "/$X"]),
        around in prop::sample::select(vec![
            ("", ""), ("k=", ""), ("--conf=a.b=", ""), ("a,", ",b"), ("x \"", "\" y"), ("x '", "'; y"), ("(", ")"),
            ("{\"out\": \"", "\", \"n\": 1}"), ("[", "]"), ("echo ", " | tee"), ("x>", ">y"), ("`", "`"),
        ]),
    ) {
        let named = parts[..depth.min(parts.len())].join(slashes);
        let end = if named.is_empty() && end == "*" { "" } else { end };
        let word = format!("{}{scheme}://{bucket}{slashes}{named}{end}{}", around.0, around.1);
        let found = named_in([word.as_str()]);
        // Above the place, an ending that is a name of its own leads elsewhere.
        let leads_elsewhere = depth < parts.len() && end == "/part-0";
        prop_assert!(leads_elsewhere || found.iter().any(|one| one.overlaps(&place(&parts))), "{word}: {found:?}");
    }

    #[test]
    fn overlapping_has_no_direction_and_survives_writing_down(
        one in "[a-z0-9/.*$ ,{}-]{0,20}", other in "[a-z0-9/.*$ ,{}-]{0,20}",
    ) {
        let (one, other) = (named_in([format!("s3://data/{one}").as_str()]), named_in([format!("s3://data/{other}").as_str()]));
        for one in &one {
            prop_assert_eq!(one.to_string().parse::<Place>(), Ok(one.clone()));
            for other in &other {
                prop_assert_eq!(one.overlaps(other), other.overlaps(one));
            }
        }
    }

    #[test]
    fn no_word_breaks_the_reading(word in "\\PC{0,60}", with in "\\PC{0,20}s3://\\PC{0,30}") {
        named_in([word.as_str(), with.as_str()]);
    }

    #[test]
    fn neighbours_never_overlap(parts in prop::collection::vec("[a-z]{1,6}", 1..4), more in "[a-z0-9-]{1,4}") {
        let mut neighbour = parts.clone();
        neighbour.last_mut().unwrap().push_str(&more);
        prop_assert!(!place(&parts).overlaps(&place(&neighbour)));
        let word = format!("--out=s3a://data/{}/", neighbour.join("/"));
        prop_assert!(!named_in([word.as_str()]).iter().any(|one| one.overlaps(&place(&parts))));
    }
}
