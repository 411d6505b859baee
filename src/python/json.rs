//! One walk through a Python value that JSON can say as it is: to count, or to write.
//!
//! Owns that question and its answer, so that a value of plain lists and objects is
//! encoded without a walk in Python. Runs no Python code: only exact built-in classes
//! are entered. What is not plain is `dspex_worker.serialize`'s to tag; what is long
//! text is orjson's to copy, which is faster at it.
//!
//! It goes over pointers that it borrows, without counting references, because it
//! must cost no more than orjson. That is sound because the thread holds Python's
//! lock and lets nothing run that could change or free an object meanwhile: what
//! is called reads numbers, or text of exact classes, or makes bytes. Where text has
//! no UTF-8 Python makes an exception, and the walk ends there, touching nothing more.
#![expect(
    unsafe_code,
    reason = "references counted for each value would cost as much as writing its JSON"
)]

#[path = "json/paper.rs"]
mod paper;

use std::ffi::c_int;
use std::ptr;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use paper::{Blank, Paper, Written};

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
    let mut walk = Walk::on(Blank, most);
    // SAFETY: `value` lives as long as this call, which holds Python's lock.
    let plain = unsafe { walk.put(value.as_ptr(), depth) };
    let seen = i64::from(most - walk.left).max(1);
    if plain { seen } else { -seen }
}

/// The JSON of `value`, the same bytes as orjson's, if it is plain in the sense of
/// [`count_json`] and has no long text in it.
pub(super) fn write_json<'py>(
    value: &Bound<'py, PyAny>,
    depth: usize,
    most: u32,
) -> Option<Bound<'py, PyBytes>> {
    let mut walk = Walk::on(Written::new(value.py())?, most);
    // SAFETY: as above.
    let plain = unsafe { walk.put(value.as_ptr(), depth) };
    plain.then(|| walk.paper.finish())?
}

/// One walk: what may still be looked at, and keys found good.
struct Walk<P: Paper> {
    paper: P,
    left: u32,
    keys: [(*mut PyObject, P::Place); KEYS],
}

impl<P: Paper> Walk<P> {
    fn on(paper: P, most: u32) -> Self {
        Self {
            paper,
            left: most,
            keys: [(ptr::null_mut(), P::Place::default()); KEYS],
        }
    }

    /// Whether the value was plain, and was put down.
    ///
    /// # Safety
    /// `value` is an object that lives, and the thread holds Python's lock.
    unsafe fn put(&mut self, value: *mut PyObject, depth: usize) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        // SAFETY: each is asked only of an object of the class it is for; items of
        // a list and of a dictionary live as long as nothing changes them.
        unsafe {
            let class = ffi::Py_TYPE(value);
            if class == &raw mut ffi::PyUnicode_Type {
                return text(value).is_some_and(|text| self.paper.text(text));
            }
            if class == &raw mut ffi::PyLong_Type {
                return small(value).is_some_and(|number| self.paper.integer(number));
            }
            if class == &raw mut ffi::PyFloat_Type {
                let number = ffi::PyFloat_AS_DOUBLE(value);
                return number.is_finite() && self.paper.float(number);
            }
            if value == ffi::Py_None() {
                return self.paper.word("null");
            }
            if class == &raw mut ffi::PyBool_Type {
                let word = if value == ffi::Py_True() {
                    "true"
                } else {
                    "false"
                };
                return self.paper.word(word);
            }
            if depth == 0 {
                return false;
            }
            if class == &raw mut ffi::PyList_Type {
                return self.put_list(value, depth - 1);
            }
            class == &raw mut ffi::PyDict_Type && self.put_dict(value, depth - 1)
        }
    }

    /// # Safety
    /// As above, of a list.
    unsafe fn put_list(&mut self, list: *mut PyObject, depth: usize) -> bool {
        if !self.paper.open(b'[') {
            return false;
        }
        // SAFETY: the list is not changed while it is gone over.
        let items = unsafe { 0..ffi::PyList_Size(list) };
        for at in items {
            // SAFETY: as above; `at` is below the length.
            let plain = unsafe { self.put(ffi::PyList_GET_ITEM(list, at), depth) };
            if !plain || !self.paper.comma() {
                return false;
            }
        }
        self.paper.close(b']')
    }

    /// # Safety
    /// As above, of a dictionary.
    unsafe fn put_dict(&mut self, dict: *mut PyObject, depth: usize) -> bool {
        if !self.paper.open(b'{') {
            return false;
        }
        let mut place = 0;
        let (mut key, mut item) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the dictionary is not changed while it is gone over.
        unsafe {
            while ffi::PyDict_Next(dict, &raw mut place, &raw mut key, &raw mut item) != 0 {
                if !self.put_key(key) || !self.put(item, depth) || !self.paper.comma() {
                    return false;
                }
            }
        }
        self.paper.close(b'}')
    }

    /// # Safety
    /// As above.
    unsafe fn put_key(&mut self, key: *mut PyObject) -> bool {
        // Objects lie 16 bytes apart. One found good lives until the walk is over.
        let place = (key.addr() >> 4) % KEYS;
        let Some((known, written)) = self.keys.get_mut(place) else {
            return false;
        };
        if *known == key {
            return self.paper.key_again(*written);
        }
        // SAFETY: text is asked of exact text only.
        let text = unsafe {
            if ffi::PyUnicode_CheckExact(key) == 0 {
                return false;
            }
            text(key)
        };
        let put = text
            .filter(|text| *text != TAG)
            .and_then(|text| self.paper.key(text));
        let Some(put) = put else {
            return false;
        };
        (*known, *written) = (key, put);
        true
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

/// An integer that has at most 64 bits, its sign among them.
///
/// # Safety
/// Of an exact integer.
unsafe fn small(value: *mut PyObject) -> Option<i64> {
    let mut overflow: c_int = 0;
    // SAFETY: reads the digits of an integer, and raises nothing for one too large.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow) };
    (overflow == 0).then_some(number)
}
