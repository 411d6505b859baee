//! A quick look through a Python value: can JSON say all of it as it is?
//!
//! Owns that one question, so that a value of plain lists and objects is handed
//! to orjson without a walk in Python. Runs no Python code: only exact built-in
//! classes are entered. What is not plain is `dspex_worker.serialize`'s to tag.
//!
//! It goes over pointers that it borrows, without counting references, because it
//! must cost little beside orjson. That is sound because the thread holds Python's
//! lock and lets nothing run that could change or free an object meanwhile: what
//! is called reads numbers, or text of exact classes. Where text has no UTF-8
//! Python makes an exception, and the look ends there, touching nothing more.
#![expect(
    unsafe_code,
    reason = "references counted for each value would cost as much as writing its JSON"
)]

use std::ffi::c_int;
use std::ptr;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

/// The key that marks a tagged object, which a value of its own must not have.
const TAG: &[u8] = b"_type";

/// Bytes of one text; longer ones are cut by the careful walk.
const LONGEST: usize = 16 * 1024 * 1024;

/// Keys that are remembered as good: rows of a table share theirs.
const KEYS: usize = 64;

/// The number of values that `value` consists of, itself among them, if each is
/// `None`, a boolean, a 64-bit integer, a finite float, UTF-8 text, a list, or an
/// object with text for keys; at most `depth` levels deep and at most `most` in
/// all, for a list that holds itself many times is small in memory and endless on
/// paper. Else how many were looked at to see that it is not so, below zero.
pub(super) fn count_json(value: &Bound<'_, PyAny>, depth: usize, most: u32) -> i64 {
    let mut look = Look {
        left: most,
        keys: [ptr::null_mut(); KEYS],
    };
    // SAFETY: `value` lives as long as this call, which holds Python's lock.
    let plain = unsafe { look.is_plain(value.as_ptr(), depth) };
    let seen = i64::from(most - look.left).max(1);
    if plain { seen } else { -seen }
}

/// One look: what may still be looked at, and keys found good.
struct Look {
    left: u32,
    keys: [*mut PyObject; KEYS],
}

impl Look {
    /// # Safety
    /// `value` is an object that lives, and the thread holds Python's lock.
    unsafe fn is_plain(&mut self, value: *mut PyObject, depth: usize) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        // SAFETY: each is asked only of an object of the class it is for; items of
        // a list and of a dictionary live as long as nothing changes them.
        unsafe {
            if ffi::PyUnicode_CheckExact(value) != 0 {
                return text(value).is_some();
            }
            if ffi::PyLong_CheckExact(value) != 0 {
                return is_small(value);
            }
            if ffi::PyFloat_CheckExact(value) != 0 {
                return ffi::PyFloat_AsDouble(value).is_finite();
            }
            if value == ffi::Py_None() || ffi::PyBool_Check(value) != 0 {
                return true;
            }
            if depth == 0 {
                return false;
            }
            if ffi::PyList_CheckExact(value) != 0 {
                let items = 0..ffi::PyList_Size(value);
                return items
                    .into_iter()
                    .all(|at| self.is_plain(ffi::PyList_GET_ITEM(value, at), depth - 1));
            }
            ffi::PyDict_CheckExact(value) != 0 && self.is_plain_dict(value, depth - 1)
        }
    }

    /// # Safety
    /// As above, of a dictionary.
    unsafe fn is_plain_dict(&mut self, dict: *mut PyObject, depth: usize) -> bool {
        let mut place = 0;
        let (mut key, mut item) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the dictionary is not changed while it is gone over.
        unsafe {
            while ffi::PyDict_Next(dict, &raw mut place, &raw mut key, &raw mut item) != 0 {
                if !self.is_key(key) || !self.is_plain(item, depth) {
                    return false;
                }
            }
        }
        true
    }

    /// # Safety
    /// As above.
    unsafe fn is_key(&mut self, key: *mut PyObject) -> bool {
        // Objects lie 16 bytes apart. One found good lives until the look is over.
        let place = (key.addr() >> 4) % KEYS;
        let Some(known) = self.keys.get_mut(place) else {
            return false;
        };
        if *known == key {
            return true;
        }
        // SAFETY: text is asked of exact text only.
        let good = unsafe {
            ffi::PyUnicode_CheckExact(key) != 0 && text(key).is_some_and(|text| text != TAG)
        };
        if good {
            *known = key;
        }
        good
    }
}

/// The UTF-8 of text that has any and is not too long.
///
/// # Safety
/// Of exact text that lives longer than what is answered.
unsafe fn text<'a>(value: *mut PyObject) -> Option<&'a [u8]> {
    let mut len = 0;
    // SAFETY: the bytes belong to the text, which does not change.
    unsafe {
        let start = ffi::PyUnicode_AsUTF8AndSize(value, &raw mut len);
        if start.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let len = usize::try_from(len).ok()?;
        (len <= LONGEST).then(|| std::slice::from_raw_parts(start.cast(), len))
    }
}

/// Whether an integer has at most 64 bits, its sign among them.
///
/// # Safety
/// Of an exact integer.
unsafe fn is_small(value: *mut PyObject) -> bool {
    let mut overflow: c_int = 0;
    // SAFETY: reads the digits of an integer, and raises nothing for one too large.
    unsafe { ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow) };
    overflow == 0
}
