//! Frames: a 4-byte big-endian length, then that many bytes of UTF-8 JSON.
