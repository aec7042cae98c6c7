//! Whatever stands in the ledger is read or refused, and what is read is written as it was. Seeds are the items of any
//! deployment, as `aws dynamodb scan` prints them, each behind one byte.

#![no_main]

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use rules::drill::{Claim, Drill};
use rules::ledger::{ActiveStep, Interruption, Submission, Sweep};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_dynamo::Item;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let Ok(item) = serde_json::from_slice::<Item>(bytes) else {
        return;
    };
    match kind % 6 {
        0 => {
            if let Some(mut drill) = read::<Drill>(item) {
                drill.may_take("r", DateTime::UNIX_EPOCH);
                drill.experiments();
                for number in drill.waves.iter().map(|wave| wave.number).collect::<Vec<u32>>() {
                    drill.token(number);
                    assert!(drill.wave(number).is_some() && drill.wave_mut(number).is_some());
                }
            }
        }
        1 => drop(read::<Claim>(item)),
        2 => drop(read::<Interruption>(item)),
        3 => drop(read::<Submission>(item)),
        4 => drop(read::<ActiveStep>(item)),
        _ => drop(read::<Sweep>(item)),
    }
});

fn read<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(item: Item) -> Option<T> {
    let read: T = serde_dynamo::from_item(item).ok()?;
    let written: Item = serde_dynamo::to_item(&read).expect("what was read can be written");
    let again: T = serde_dynamo::from_item(written).expect("what was written can be read");
    assert_eq!(read, again);
    Some(read)
}
