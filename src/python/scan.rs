//! A quick look through a Python value: can JSON say all of it as it is?
//!
//! Owns that one question, so that a value of plain lists and objects is handed
//! to orjson without a walk in Python. Runs no Python code: only exact built-in
//! classes are entered. What is not plain is `dspex_worker.serialize`'s to tag.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};

/// The key that marks a tagged object, which a value of its own must not have.
const TAG: &str = "_type";

/// Characters of one text; longer ones are cut by the careful walk.
const LONGEST: usize = 16 * 1024 * 1024;

/// The number of values that `value` consists of, itself among them, if each is
/// `None`, a boolean, a 64-bit integer, a finite float, UTF-8 text, a list, or an
/// object with text for keys; at most `depth` levels deep and at most `most` in
/// all, for a list that holds itself many times is small in memory and endless on
/// paper. Else how many were looked at to see that it is not so, below zero.
pub(super) fn count_json(value: &Bound<'_, PyAny>, depth: usize, most: u32) -> i64 {
    let mut left = most;
    let plain = scan(value, depth, &mut left);
    let seen = i64::from(most - left).max(1);
    if plain { seen } else { -seen }
}

fn scan(value: &Bound<'_, PyAny>, depth: usize, left: &mut u32) -> bool {
    if *left == 0 {
        return false;
    }
    *left -= 1;
    if let Ok(text) = value.cast_exact::<PyString>() {
        return text.to_str().is_ok_and(|text| text.len() <= LONGEST);
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        return number.value().is_finite();
    }
    if value.is_exact_instance_of::<PyInt>() {
        return value.extract::<i64>().is_ok();
    }
    if value.is_none() || value.is_exact_instance_of::<PyBool>() {
        return true;
    }
    if depth == 0 {
        return false;
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return list.iter().all(|item| scan(&item, depth - 1, left));
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return dict
            .iter()
            .all(|(key, item)| is_key(&key) && scan(&item, depth - 1, left));
    }
    false
}

fn is_key(key: &Bound<'_, PyAny>) -> bool {
    key.cast_exact::<PyString>()
        .is_ok_and(|key| key.to_str().is_ok_and(|key| key != TAG))
}
