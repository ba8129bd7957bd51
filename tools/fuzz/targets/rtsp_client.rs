#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| weir::fuzz::rtsp_client(data));
