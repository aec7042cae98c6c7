//! EC2's pagination: `MaxResults` and `NextToken`.
//!
//! Separate because every Describe operation pages alike.

use serde_json::Value;

use crate::api::ApiError;
use crate::ec2::invalid;

//= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
const MAX_RESULTS: std::ops::RangeInclusive<usize> = 5..=1000;

/// Before every key: what a page without items showed last.
const BEFORE_ALL: &str = "\0";

/// The page that the request asks for, out of all items in the order of their keys, and the token of the next page.
/// Without `MaxResults` everything is one page. A page has `entries_max` at most, as EC2 may answer fewer than asked for
/// "even if more results remain": with `0` none on the first page. A token names the last key shown, so that a page neither repeats nor
/// misses an item when others come or go between two calls.
//= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html#api-pagination
pub(super) fn page<T>(
    mut items: Vec<(String, T)>,
    input: &Value,
    entries_max: Option<usize>,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    items.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(token) = input["NextToken"].as_str().filter(|it| !it.is_empty()) {
        let shown = decode(token)
            .ok_or_else(|| ApiError::client("InvalidNextToken", "The specified NextToken is not valid."))?;
        items.retain(|(key, _)| *key > shown);
    }
    let asked = max_results(input)?;
    if (asked.is_some(), entries_max, input["NextToken"].as_str()) == (true, Some(0), None) {
        return Ok((Vec::new(), Some(encode(BEFORE_ALL))));
    }
    let entries_max = entries_max.filter(|entries| *entries > 0);
    let size = asked.map_or(usize::MAX, |size| size.min(entries_max.unwrap_or(size)));
    let next = (items.len() > size).then(|| encode(&items[size - 1].0));
    items.truncate(size);
    Ok((items.into_iter().map(|(_, item)| item).collect(), next))
}

/// The request's `MaxResults`, within AWS's limits. Above the upper one an error is assumed, as the page gives a range.
pub(super) fn max_results(input: &Value) -> Result<Option<usize>, ApiError> {
    let Some(text) = input["MaxResults"].as_str() else {
        return Ok(None);
    };
    let expected = match text.parse::<usize>() {
        Ok(size) if MAX_RESULTS.contains(&size) => return Ok(Some(size)),
        Ok(size) if size > *MAX_RESULTS.end() => format!("less than or equal to {}", MAX_RESULTS.end()),
        _ => format!("greater than or equal to {}", MAX_RESULTS.start()),
    };
    Err(invalid(format!(
        "Value ( {text} ) for parameter maxResults is invalid. Expecting a value {expected}."
    )))
}

/// Tokens are opaque to clients: none should be able to read an id in them.
fn encode(key: &str) -> String {
    key.bytes().map(|byte| format!("{:02x}", byte ^ 0x5a)).collect()
}

fn decode(token: &str) -> Option<String> {
    if !token.is_ascii() || !token.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at: usize| Some(u8::from_str_radix(token.get(at..at + 2)?, 16).ok()? ^ 0x5a);
    String::from_utf8((0..token.len()).step_by(2).map(byte).collect::<Option<_>>()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_together_hold_every_item_once() {
        let items: Vec<(String, usize)> = (0..23).map(|i| (format!("i-{:02}", i * 7 % 23), i)).collect();
        let (mut seen, mut input, mut pages) = (Vec::new(), json!({"MaxResults": "5"}), 0);
        loop {
            let (page, next) = page(items.clone(), &input, None).unwrap();
            seen.extend(page);
            pages += 1;
            let Some(token) = next else { break };
            input["NextToken"] = token.into();
        }
        seen.sort();
        assert_eq!((pages, seen), (5, (0..23).collect()));
    }

    #[test]
    fn a_page_may_hold_less_than_was_asked_for() {
        let items: Vec<(String, ())> = (0..7).map(|i| (format!("i-{i}"), ())).collect();
        let (shown, next) = page(items.clone(), &json!({"MaxResults": "5"}), Some(2)).unwrap();
        assert_eq!((shown.len(), next.is_some()), (2, true));
        // A page without items is not the last.
        let (shown, next) = page(items.clone(), &json!({"MaxResults": "5"}), Some(0)).unwrap();
        let rest = page(
            items.clone(),
            &json!({"MaxResults": "5", "NextToken": next.unwrap()}),
            Some(0),
        );
        assert_eq!((shown.len(), rest.unwrap().0.len()), (0, 5));
        // Who asks for no pages gets none.
        assert_eq!(page(items, &json!({}), Some(2)).unwrap().0.len(), 7);
    }

    #[test]
    fn a_page_size_out_of_range_or_a_token_made_up_is_refused() {
        for size in ["4", "1001", "x"] {
            assert_eq!(
                max_results(&json!({"MaxResults": size})).unwrap_err().code,
                "InvalidParameterValue"
            );
        }
        let refused = page(vec![("a".to_owned(), ())], &json!({"NextToken": "zz"}), None).unwrap_err();
        assert_eq!(refused.code, "InvalidNextToken");
    }
}
