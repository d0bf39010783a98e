#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jhe_ow::fuzz::targets::cursor(bytes));
