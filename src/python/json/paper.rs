//! What a walk puts JSON down on: Python's bytes, grown as they fill, or nothing.
//!
//! Owns how values look in JSON, to the byte as orjson writes them, and the memory
//! they are written to. Which values may be written is the walk's to say.
//!
//! Bytes are written past the end of what is there, into room that was asked for just
//! before: `room` makes sure of it, and each place that writes says how much it needs.
#![expect(
    unsafe_code,
    reason = "a check of the room for each byte, and a copy of the whole at the end, cost half as much again"
)]

use std::ffi::c_int;
use std::io::Write as _;
use std::mem::{self, MaybeUninit};
use std::ptr;

use pyo3::ffi::{self, Py_ssize_t, PyObject};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Bytes of a text that are copied here; orjson is faster at longer ones.
const SHORT: usize = 4096;

/// Room for a number: a float takes 24 bytes at most, an integer 20.
const NUMBER: usize = 32;

/// Bytes that a short piece is copied in: more than it has, and no more than its room.
const BLOCK: usize = 32;

/// One in each byte of a word.
const ONES: u64 = 0x0101_0101_0101_0101;

unsafe extern "C" {
    /// Public since Python 1, and not named by `pyo3::ffi`. Where it fails, it frees the
    /// bytes, puts null in their place and makes an exception.
    fn _PyBytes_Resize(bytes: *mut *mut PyObject, size: Py_ssize_t) -> c_int;
}

/// Where the parts of a value go; each answers whether it could be put down.
pub(super) trait Paper {
    /// Where a key was put, to put it again.
    type Place: Copy + Default;

    fn text(&mut self, text: &[u8]) -> bool;
    fn integer(&mut self, number: i64) -> bool;
    /// A finite number.
    fn float(&mut self, number: f64) -> bool;
    /// `null`, `true`, `false`.
    fn word(&mut self, word: &'static str) -> bool;
    fn open(&mut self, bracket: u8) -> bool;
    fn comma(&mut self) -> bool;
    /// In the place of the comma after the last member.
    fn close(&mut self, bracket: u8) -> bool;
    /// A key with its colon.
    fn key(&mut self, key: &[u8]) -> Option<Self::Place>;
    fn key_again(&mut self, place: Self::Place) -> bool;
}

/// Nothing is written: for counting.
pub(super) struct Blank;

impl Paper for Blank {
    type Place = ();

    fn text(&mut self, _: &[u8]) -> bool {
        true
    }
    fn integer(&mut self, _: i64) -> bool {
        true
    }
    fn float(&mut self, _: f64) -> bool {
        true
    }
    fn word(&mut self, _: &'static str) -> bool {
        true
    }
    fn open(&mut self, _: u8) -> bool {
        true
    }
    fn comma(&mut self) -> bool {
        true
    }
    fn close(&mut self, _: u8) -> bool {
        true
    }
    fn key(&mut self, _: &[u8]) -> Option<()> {
        Some(())
    }
    fn key_again(&mut self, (): ()) -> bool {
        true
    }
}

/// Python's bytes while they are written.
pub(super) struct Written<'py> {
    python: Python<'py>,
    /// Owned; null once it has been given away or could not grow.
    object: *mut PyObject,
    /// The first of its bytes, where the next is written, and where there is no more room.
    start: *mut u8,
    at: *mut u8,
    end: *mut u8,
}

impl<'py> Written<'py> {
    /// Empty bytes, if there is memory for them.
    pub(super) fn new(python: Python<'py>) -> Option<Self> {
        let mut new = Self {
            python,
            object: ptr::null_mut(),
            start: ptr::null_mut(),
            at: ptr::null_mut(),
            end: ptr::null_mut(),
        };
        // SAFETY: the thread holds Python's lock, as `python` says.
        new.object = unsafe { ffi::PyBytes_FromStringAndSize(ptr::null(), 0) };
        new.grow(1024).then_some(new)
    }

    /// The bytes, cut to what was written.
    pub(super) fn finish(mut self) -> Option<Bound<'py, PyBytes>> {
        if !self.resize(self.len()) {
            return None;
        }
        let object = mem::replace(&mut self.object, ptr::null_mut());
        // SAFETY: bytes that this owned, and which are now the caller's.
        let bytes = unsafe { Bound::from_owned_ptr_or_opt(self.python, object)? };
        bytes.cast_into().ok()
    }

    fn len(&self) -> usize {
        self.at.addr() - self.start.addr()
    }

    /// Makes sure of room for so many bytes more.
    #[inline]
    fn room_for(&mut self, more: usize) -> bool {
        self.end.addr() - self.at.addr() >= more || self.grow(more)
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) -> bool {
        self.resize((self.len() + more).next_power_of_two())
    }

    /// Makes it so large, and no smaller than what was written.
    fn resize(&mut self, room: usize) -> bool {
        let len = self.len();
        let Ok(size) = Py_ssize_t::try_from(room) else {
            return false;
        };
        // SAFETY: nobody else knows these bytes, so that they may be changed; where they
        // are the empty ones, which all share, new ones are made. Python's lock is held.
        unsafe {
            if self.object.is_null() || _PyBytes_Resize(&raw mut self.object, size) != 0 {
                ffi::PyErr_Clear();
                (self.at, self.end) = (self.start, self.start);
                return false;
            }
            self.start = ffi::PyBytes_AsString(self.object).cast();
            self.at = self.start.add(len);
            self.end = self.start.add(room);
        }
        true
    }

    /// # Safety
    /// There is room for it.
    #[inline]
    unsafe fn push(&mut self, byte: u8) {
        // SAFETY: the caller's.
        unsafe {
            *self.at = byte;
            self.at = self.at.add(1);
        }
    }

    /// # Safety
    /// There is room for them.
    #[inline]
    unsafe fn extend(&mut self, bytes: &[u8]) {
        // SAFETY: the caller's; what is read is no part of what is written.
        unsafe {
            copy(bytes, self.at);
            self.at = self.at.add(bytes.len());
        }
    }

    /// Text with what JSON cannot have in it written as escapes.
    #[cold]
    #[inline(never)]
    fn escaped(&mut self, text: &[u8]) -> bool {
        let mut out = Vec::with_capacity(text.len() + 16);
        for &byte in text {
            let short = match byte {
                b'"' | b'\\' => byte,
                0x08 => b'b',
                b'\t' => b't',
                b'\n' => b'n',
                0x0c => b'f',
                b'\r' => b'r',
                0..0x20 => {
                    let _ = write!(out, "\\u{byte:04x}");
                    continue;
                }
                _ => {
                    out.push(byte);
                    continue;
                }
            };
            out.extend([b'\\', short]);
        }
        if !self.room_for(out.len() + 2) {
            return false;
        }
        // SAFETY: room was made for the text and its quotes.
        unsafe {
            self.push(b'"');
            self.extend(&out);
            self.push(b'"');
        }
        true
    }
}

impl Paper for Written<'_> {
    /// Where in the bytes it begins, and how many it has.
    type Place = (usize, usize);

    #[inline]
    fn text(&mut self, text: &[u8]) -> bool {
        if text.len() > SHORT || !self.room_for(text.len() + 2) {
            return false;
        }
        // SAFETY: room was made for the text and its quotes, and it is no part of the bytes.
        unsafe {
            if !copy_clean(text, self.at.add(1)) {
                return self.escaped(text);
            }
            *self.at = b'"';
            *self.at.add(text.len() + 1) = b'"';
            self.at = self.at.add(text.len() + 2);
        }
        true
    }

    #[inline]
    fn integer(&mut self, number: i64) -> bool {
        if !self.room_for(NUMBER) {
            return false;
        }
        // SAFETY: room was made for the longest.
        unsafe { self.extend(itoa::Buffer::new().format(number).as_bytes()) };
        true
    }

    #[inline]
    fn float(&mut self, number: f64) -> bool {
        if !self.room_for(NUMBER) {
            return false;
        }
        // SAFETY: room was made for the longest.
        unsafe { self.extend(zmij::Buffer::new().format_finite(number).as_bytes()) };
        true
    }

    #[inline]
    fn word(&mut self, word: &'static str) -> bool {
        if !self.room_for(word.len()) {
            return false;
        }
        // SAFETY: room was made for it.
        unsafe { self.extend(word.as_bytes()) };
        true
    }

    #[inline]
    fn open(&mut self, bracket: u8) -> bool {
        if !self.room_for(1) {
            return false;
        }
        // SAFETY: room was made for it.
        unsafe { self.push(bracket) };
        true
    }

    #[inline]
    fn comma(&mut self) -> bool {
        self.open(b',')
    }

    #[inline]
    fn close(&mut self, bracket: u8) -> bool {
        // SAFETY: what was opened was written; the byte before the end is there.
        unsafe {
            let last = self.at.sub(1);
            if *last == b',' {
                *last = bracket;
                return true;
            }
        }
        self.open(bracket)
    }

    #[inline]
    fn key(&mut self, key: &[u8]) -> Option<Self::Place> {
        let start = self.len();
        (self.text(key) && self.open(b':')).then(|| (start, self.len() - start))
    }

    #[inline]
    fn key_again(&mut self, (start, len): Self::Place) -> bool {
        if !self.room_for(len.max(BLOCK)) {
            return false;
        }
        // SAFETY: it was written before, and room was made; a short one is copied in one
        // block, whose end is not looked at and lies within the room on both sides.
        unsafe {
            let from = self.start.add(start);
            if len <= BLOCK {
                let block = from.cast::<MaybeUninit<[u8; BLOCK]>>().read_unaligned();
                let to = self.at.cast::<MaybeUninit<[u8; BLOCK]>>();
                to.write_unaligned(block);
            } else {
                ptr::copy_nonoverlapping(from, self.at, len);
            }
            self.at = self.at.add(len);
        }
        true
    }
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        // SAFETY: the thread holds Python's lock; the object is owned, or null.
        unsafe { ffi::Py_XDECREF(self.object) };
    }
}

/// Whether JSON can have these eight bytes in a text as they are.
#[inline]
fn is_clean(word: u64) -> bool {
    let is_low = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let (quote, slash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
    (is_low(word, 0x20) | is_low(quote, 1) | is_low(slash, 1)) & (ONES * 0x80) == 0
}

/// Copies text, unless something in it must be escaped. By the word; the last word
/// overlaps the one before it.
///
/// # Safety
/// There is room for it at `to`, which is no part of it.
#[inline]
unsafe fn copy_clean(text: &[u8], to: *mut u8) -> bool {
    // SAFETY: the caller's; each part is written as far from `to` as it lies in the text.
    unsafe {
        if let Some(last) = text.last_chunk::<8>() {
            for (at, word) in text.as_chunks::<8>().0.iter().enumerate() {
                if !is_clean(u64::from_ne_bytes(*word)) {
                    return false;
                }
                to.add(at * 8).cast::<[u8; 8]>().write_unaligned(*word);
            }
            let end = to.add(text.len() - 8).cast::<[u8; 8]>();
            end.write_unaligned(*last);
            return is_clean(u64::from_ne_bytes(*last));
        }
        copy(text, to);
    }
    let word = match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let (first, last) = (u32::from_ne_bytes(*first), u32::from_ne_bytes(*last));
            u64::from(first) << 32 | u64::from(last)
        }
        _ => text
            .iter()
            .fold(ONES * 0x20, |word, byte| word << 8 | u64::from(*byte)),
    };
    is_clean(word)
}

/// Copies bytes, a few without a call: as two words that overlap.
///
/// # Safety
/// There is room for them at `to`, which is no part of them.
#[inline]
unsafe fn copy(bytes: &[u8], to: *mut u8) {
    /// # Safety
    /// As above; there are at least as many bytes as `T` has.
    #[inline]
    unsafe fn ends<T: Copy>(bytes: &[u8], to: *mut u8) {
        let last = bytes.len() - size_of::<T>();
        let from = bytes.as_ptr();
        // SAFETY: the caller's: both lie within the bytes.
        unsafe {
            let first_word = from.cast::<T>().read_unaligned();
            let last_word = from.add(last).cast::<T>().read_unaligned();
            to.cast::<T>().write_unaligned(first_word);
            to.add(last).cast::<T>().write_unaligned(last_word);
        }
    }
    // SAFETY: the caller's, and the lengths just looked at.
    unsafe {
        match bytes.len() {
            0 => {}
            1 => *to = *bytes.as_ptr(),
            2..4 => ends::<u16>(bytes, to),
            4..8 => ends::<u32>(bytes, to),
            8..16 => ends::<u64>(bytes, to),
            16..=32 => ends::<u128>(bytes, to),
            _ => ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()),
        }
    }
}
