use super::*;
use crate::codec::annexb::{Piece, Splitter};
use alloc::{vec, vec::Vec};

/// x265, 322x182, 24 pictures a second.
const VPS_X265: &[u8] =
    b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\x95\x98\x09";
const SPS_X265: &[u8] =
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x48\x0b\x9c\x95\
\x96\x56\x69\x24\xca\xf0\x16\x80\x80\x00\x00\x03\x00\x80\x00\x00\x0c\x04";
const PPS_X265: &[u8] = b"\x44\x01\xc1\x72\xb4\x62\x40";

#[test]
fn parameter_sets_say_size_rate_and_reordering() {
    let sps = Sps::parse(SPS_X265).expect("a parameter set");
    assert_eq!((sps.width, sps.height, sps.luma_depth, sps.chroma_format), (322, 182, 8, 1));
    assert_eq!((sps.frame_rate, sps.max_reorder, sps.order_bits), (Some(24.0), 2, 8));
    assert_eq!(sps.profile_tier_level, [1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 60]);
    assert_eq!((sps.temporal_layers, sps.is_nested), (1, true));
    assert_eq!(Vps::parse(VPS_X265), Some(Vps { id: 0, frame_rate: None }));
    let pps = Pps { id: 0, sps_id: 0, has_output_flag: false, extra_bits: 0 };
    assert_eq!(Pps::parse(PPS_X265), Some(pps));
    for len in 0..SPS_X265.len() {
        if let Some(cut) = Sps::parse(&SPS_X265[..len]) {
            assert_eq!((cut.width, cut.height, cut.max_reorder), (322, 182, 2), "{len} bytes");
        } else {
            assert!(len < 28, "{len} bytes are enough for size and order");
        }
    }
}

#[test]
fn records_are_built_and_read_back() {
    let record = build_record(VPS_X265, SPS_X265, &[PPS_X265]).expect("good parameter sets");
    let head = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 60, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 3];
    assert_eq!(record[..23], head);
    assert_eq!(record[23..28], [0xa0, 0, 1, 0, 24]);
    let read = Record::parse(&record).expect("what was built");
    let expected = Record { length_size: 4, vps: vec![VPS_X265], sps: vec![SPS_X265], pps: vec![PPS_X265] };
    assert_eq!(read, expected);
    for len in 0..record.len() {
        assert_eq!(Record::parse(&record[..len]), None, "{len} bytes");
    }
    let sei = [&record[..22], &[4], &record[23..], &[0x27, 0, 1, 0, 2, 0x4e, 1]].concat();
    assert_eq!(Record::parse(&sei), Some(expected), "x265 adds an SEI");
    assert_eq!(crate::codec::dimensions(crate::flv::Codec::Hevc, &record), Some((322, 182)));
}

/// Type and order count of each picture.
fn pictures(stream: &[u8]) -> Vec<(u8, i32)> {
    let mut splitter = Splitter::new();
    splitter.push(stream);
    splitter.finish();
    let (mut sets, mut counter, mut found) = ((None, None), OrderCounter::default(), vec![]);
    while let Some(Piece::Nal(nal)) = splitter.next() {
        match nal_type(nal[0]) {
            SPS => sets.0 = Sps::parse(nal),
            PPS => sets.1 = Pps::parse(nal),
            slice if is_slice(slice) => {
                let (Some(sps), Some(pps)) = &sets else { panic!("sets come first") };
                assert!(SliceHeader::begins_picture(nal));
                let header = SliceHeader::parse(nal, sps, pps).expect("a slice");
                assert_eq!(SliceHeader::parse(&nal[..8], sps, pps), Some(header), "the beginning is enough");
                found.push((slice, counter.count(sps, &header)));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_pictures_of_a_real_stream_are_in_the_order_of_the_encoder() {
    let stream = include_bytes!("../../../tests/data/raw/x265-open-gop.h265");
    let expected = [
        (IDR_N_LP, 0),
        (1, 2),
        (0, 1),
        (CRA, 6),
        (9, 4),
        (8, 3),
        (8, 5),
        (1, 10),
        (1, 8),
        (0, 7),
        (0, 9),
        (1, 11),
    ];
    assert_eq!(pictures(stream), expected);
}

#[test]
fn order_counts_go_on_where_their_low_bits_wrap_and_discardable_pictures_do_not_count() {
    let sps = Sps { order_bits: 4, ..Sps::parse(SPS_X265).expect("a parameter set") };
    let mut counter = OrderCounter::default();
    let mut count = |nal_type, temporal_id, order_lsb| {
        counter.count(&sps, &SliceHeader { nal_type, temporal_id, order_lsb, ..SliceHeader::default() })
    };
    assert_eq!([count(IDR_N_LP, 0, 0), count(1, 0, 7), count(0, 0, 15), count(1, 1, 14)], [0, 7, 15, 14]);
    assert_eq!([count(1, 0, 14), count(1, 0, 5), count(8, 0, 1)], [14, 21, 17], "from 7, not from 15");
    assert_eq!([count(CRA, 0, 10), count(17, 0, 10)], [26, 10], "BLA begins anew");
    counter.end_sequence();
    assert!(counter.begins_sequence(CRA) && !counter.begins_sequence(1));
}

#[test]
fn samples_tell_what_kind_of_picture_they_hold() {
    let sample = |first: u8| [&[0, 0, 0, 2, 0x4e, 1][..], &[0, 0, 0, 3, first << 1, 1, 0x80]].concat();
    for nal_type in [8, 9, 6, 1, CRA] {
        assert_eq!(sample_type(&sample(nal_type), 4), Some(nal_type));
    }
    assert_eq!(sample_type(&sample(8)[..6], 4), None);
    assert!(is_irap(CRA) && is_irap(IDR_W_RADL) && is_bla(16) && !is_bla(CRA) && is_rasl(9) && is_radl(6));
    assert_eq!(
        (layer(&[0x43, 0x09]), temporal_id(&[0x42, 0]), temporal_id(&[2, 3])),
        (Some(33), None, Some(2))
    );
}
