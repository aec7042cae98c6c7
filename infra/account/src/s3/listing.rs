//! Pages of keys: prefix, delimiter, where to go on, and how many.
//!
//! Separate because both generations of ListObjects and the continuation token share it.

use super::{Object, State};
use crate::api::ApiError;

/// The most entries on one page.
//= https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
const PAGE_MAX: usize = 1000;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only keys that start so.
    pub prefix: String,
    /// Keys with this after the prefix are rolled up into common prefixes.
    pub delimiter: Option<String>,
    /// Only entries after this one: a key, or a common prefix that a page ended with.
    pub after: String,
    /// How many entries at most; 1,000 is the limit whatever is asked for.
    pub entries_max: Option<usize>,
}

/// One entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An object and its key.
    Object(String, Box<Object>),
    /// A common prefix.
    Prefix(String),
}

impl Entry {
    /// The key or the common prefix.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(name, _) | Self::Prefix(name) => name,
        }
    }
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// In S3's order: UTF-8 bytes.
    pub entries: Vec<Entry>,
    /// The last entry's name, when there are more.
    pub next_after: Option<String>,
    /// The limit that applied.
    pub entries_max: usize,
}

impl State {
    pub(super) fn page(&self, bucket: &str, listing: &Listing) -> Result<Page, ApiError> {
        let bucket = self.bucket(bucket)?;
        let entries_max = listing.entries_max.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let mut page = Page {
            entries_max,
            ..Page::default()
        };
        // "The response might contain fewer keys but will never contain more."
        let entries_max = entries_max.min(self.page.unwrap_or(PAGE_MAX));
        if entries_max == 0 {
            return Ok(page);
        }
        let mut group = String::new();
        for (key, object) in bucket.under(&listing.prefix) {
            if *key <= listing.after || (!group.is_empty() && key.starts_with(&group)) {
                continue;
            }
            let entry = match common_prefix(key, listing) {
                // The page before ended with this very prefix.
                Some(prefix) if prefix == listing.after => continue,
                Some(prefix) => {
                    group.clone_from(&prefix);
                    Entry::Prefix(prefix)
                }
                None => Entry::Object(key.clone(), Box::new(object.clone())),
            };
            if page.entries.len() == entries_max {
                page.next_after = page.entries.last().map(|last| last.name().to_owned());
                break;
            }
            page.entries.push(entry);
        }
        Ok(page)
    }
}

/// The part of the key up to and with the first delimiter after the prefix.
fn common_prefix(key: &str, listing: &Listing) -> Option<String> {
    let delimiter = listing.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
    let rest = &key[listing.prefix.len()..];
    let end = rest.find(delimiter)? + delimiter.len();
    Some(key[..listing.prefix.len() + end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;
    use crate::api::Time;

    fn names(store: &Store, listing: &Listing) -> (Vec<String>, Option<String>) {
        let page = store.lock().page("b", listing).unwrap();
        (
            page.entries.iter().map(|entry| entry.name().to_owned()).collect(),
            page.next_after,
        )
    }

    fn store(keys: &[&str]) -> Store {
        let store = Store::new();
        store.create_bucket("b");
        for key in keys {
            store.put(&format!("s3://b/{key}"), "", Time::UNIX_EPOCH).unwrap();
        }
        store
    }

    #[test]
    fn pages_of_any_size_give_every_entry_once() {
        let store = store(&["a", "a/1", "a/2", "b/1", "b/2/3", "c", "d/1"]);
        let whole = ["a", "a/", "b/", "c", "d/"];
        for size in 1..7 {
            let mut found = Vec::new();
            let mut listing = Listing {
                delimiter: Some("/".into()),
                entries_max: Some(size),
                ..Listing::default()
            };
            loop {
                let (page, next) = names(&store, &listing);
                assert!(page.len() <= size);
                found.extend(page);
                let Some(next) = next else { break };
                listing.after = next;
            }
            assert_eq!(found, whole, "pages of {size}");
        }
    }

    #[test]
    fn a_page_never_has_more_than_a_thousand() {
        let keys: Vec<String> = (0..1500).map(|number| format!("k{number:04}")).collect();
        let store = store(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        let (page, next) = names(
            &store,
            &Listing {
                entries_max: Some(5000),
                ..Listing::default()
            },
        );
        assert_eq!((page.len(), next.as_deref()), (1000, Some("k0999")));
        let (page, next) = names(
            &store,
            &Listing {
                after: "k0999".into(),
                ..Listing::default()
            },
        );
        assert_eq!((page.len(), next), (500, None));
    }

    #[test]
    fn a_page_may_hold_less_than_was_asked_for() {
        let store = store(&["a", "b", "c"]);
        store.set_page(2);
        let (page, next) = names(&store, &Listing::default());
        assert_eq!((page.len(), next.as_deref()), (2, Some("b")));
    }

    #[test]
    fn a_prefix_and_a_delimiter_list_one_folder() {
        let store = store(&["x/1", "x/y/1", "x/y/2", "xx"]);
        let listing = Listing {
            prefix: "x/".into(),
            delimiter: Some("/".into()),
            ..Listing::default()
        };
        assert_eq!(names(&store, &listing).0, ["x/1", "x/y/"]);
        assert_eq!(
            names(
                &store,
                &Listing {
                    after: "x/1".into(),
                    ..listing
                }
            )
            .0,
            ["x/y/"]
        );
    }
}
