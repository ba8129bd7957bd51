use super::*;
use crate::codec::annexb::{Piece, Splitter};
use alloc::{vec, vec::Vec};

/// x264, 322x182, 30000/1001 pictures a second, B-pyramid.
const X264: &[u8] =
    b"\x67\x64\x00\x0d\xac\xd9\x41\x51\x9e\x22\x6c\x04\x40\x00\x00\xfa\x40\x00\x3a\x98\x03\xc5\x0a\x65\x80";
const X264_PPS: &[u8] = b"\x68\xeb\xe3\xcb\x22\xc0";
/// x264, 720x576 interlaced, top field first.
const INTERLACED: &[u8] =
    b"\x67\x64\x00\x1e\xac\xd9\x40\xb4\x24\xd8\x08\x80\x00\x00\x03\x00\x80\x00\x00\x19\x0f\x8a\x14\xcb";
/// 64x64, order counts of type 2, no VUI.
const BASELINE: &[u8] = b"\x67\x42\x00\x0a\xda\x10\x99";

#[test]
fn parameter_sets_say_size_rate_and_reordering() {
    let sps = Sps::parse(X264).expect("a parameter set");
    assert_eq!((sps.profile, sps.level, sps.width, sps.height), (100, 13, 322, 182));
    assert_eq!((sps.frame_rate, sps.max_reorder), (Some(30_000.0 / 1001.0), Some(2)));
    assert_eq!((sps.order, sps.is_frames_only), (PicOrder::Lsb { bits: 6 }, true));
    assert_eq!((sps.chroma_format, sps.luma_depth), (1, 8));
    let pps = Pps::parse(X264_PPS).expect("a parameter set");
    assert_eq!(pps, Pps { id: 0, sps_id: 0, has_bottom_order: false, has_redundant_count: false });

    let sps = Sps::parse(INTERLACED).expect("a parameter set");
    assert_eq!((sps.width, sps.height, sps.is_frames_only), (720, 576, false));
    assert_eq!(sps.frame_rate, Some(25.0));

    let sps = Sps::parse(BASELINE).expect("a parameter set");
    assert_eq!((sps.width, sps.height, sps.frame_rate), (64, 64, None));
    assert_eq!((sps.order, sps.max_reorder), (PicOrder::Decoding, Some(0)));
}

#[test]
fn a_parameter_set_that_is_cut_off_costs_its_timing_or_all() {
    for len in 0..X264.len() {
        let Some(sps) = Sps::parse(&X264[..len]) else {
            assert!(len < 12, "{len} bytes are enough for the size");
            continue;
        };
        assert_eq!((sps.width, sps.height), (322, 182), "{len} bytes");
        assert!(len > 20 || sps.max_reorder.is_none());
    }
    for len in 0..X264_PPS.len() - 1 {
        let _ = Pps::parse(&X264_PPS[..len]);
    }
}

#[test]
fn records_are_built_and_read_back() {
    let record = build_record(X264, &[X264_PPS]).expect("a good parameter set");
    assert_eq!(record[..8], [1, 0x64, 0, 0x0d, 0xff, 0xe1, 0, 25]);
    assert_eq!(record[33..36], [1, 0, 6]);
    assert_eq!(record[42..], [0xfd, 0xf8, 0xf8, 0]);
    let read = Record::parse(&record).expect("what was built");
    assert_eq!(read, Record { length_size: 4, sps: vec![X264], pps: vec![X264_PPS] });
    for len in 0..42 {
        assert_eq!(Record::parse(&record[..len]), None, "{len} bytes");
    }
    assert_eq!(Record::parse(&record[..42]), Some(read), "the tail is often missing");
    let record = build_record(BASELINE, &[]).expect("a good parameter set");
    assert_eq!(record, [&[1, 0x42, 0, 0x0a, 0xff, 0xe1, 0, 7], BASELINE, &[0]].concat(), "no tail");
    assert_eq!(Record::parse(&[1, 0, 0, 0, 0xff, 0xe0, 0]).map(|record| record.sps.len()), Some(0));
    assert_eq!(build_record(&X264[..5], &[]), None);
}

fn sps(order: PicOrder) -> Sps {
    Sps { order, frame_num_bits: 4, ..Sps::parse(BASELINE).expect("a parameter set") }
}

/// (frame number, low bits, is a reference)
fn counts(order: PicOrder, slices: &[(u32, u32, bool)]) -> Vec<i32> {
    let sps = sps(order);
    let mut counter = OrderCounter::default();
    let count = |(index, &(frame_num, order_lsb, is_reference)): (usize, &(u32, u32, bool))| {
        let slice =
            SliceHeader { frame_num, order_lsb, is_reference, is_idr: index == 0, ..SliceHeader::default() };
        counter.count(&sps, &slice)
    };
    slices.iter().enumerate().map(count).collect()
}

#[test]
fn order_counts_of_type_0_go_on_where_their_low_bits_wrap() {
    let lsb = PicOrder::Lsb { bits: 4 };
    let slices = [
        (0, 0, true),
        (1, 6, true),
        (2, 2, false),
        (2, 12, true),
        (3, 8, false),
        (3, 4, true),
        (4, 14, false),
    ];
    assert_eq!(counts(lsb.clone(), &slices), [0, 6, 2, 12, 8, 20, 14]);
    let mut counter = OrderCounter::default();
    let sps = sps(lsb);
    let idr = SliceHeader { is_idr: true, is_reference: true, order_bottom: -1, ..SliceHeader::default() };
    assert_eq!(counter.count(&sps, &idr), -1, "the field that is shown first");
    let top = SliceHeader { is_field: true, order_lsb: 4, frame_num: 1, ..SliceHeader::default() };
    let bottom = SliceHeader { is_bottom: true, order_lsb: 5, ..top };
    assert_eq!((counter.count(&sps, &top), counter.count(&sps, &bottom)), (4, 5));
    assert!(bottom.completes_frame(&top) && !top.completes_frame(&top));
}

#[test]
fn order_counts_of_type_1_follow_the_cycle_of_steps() {
    let cycle = PicOrder::Cycle { is_exact: true, non_reference: -3, top_to_bottom: 1, steps: vec![4, 6] };
    let slices = [(0, 0, true), (1, 0, true), (2, 0, false), (2, 0, true), (3, 0, true)];
    assert_eq!(counts(cycle, &slices), [0, 4, 1, 10, 14]);
    let cycle = PicOrder::Cycle { is_exact: true, non_reference: -1, top_to_bottom: 1, steps: vec![] };
    assert_eq!(counts(cycle, &[(0, 0, true), (1, 0, false)]), [0, -1]);
}

#[test]
fn order_counts_of_type_2_are_the_order_of_decoding_across_wraps() {
    let slices: Vec<_> = (0..40).map(|index| (index % 16, 0, true)).collect();
    let expected: Vec<i32> = (0..40).map(|index| 2 * index).collect();
    assert_eq!(counts(PicOrder::Decoding, &slices), expected);
    assert_eq!(counts(PicOrder::Decoding, &[(0, 0, true), (1, 0, false), (1, 0, true)]), [0, 1, 2]);
}

#[test]
fn pictures_begin_at_their_first_block_or_where_a_field_differs() {
    let first = SliceHeader { is_reference: true, frame_num: 3, order_lsb: 6, ..SliceHeader::default() };
    let second = SliceHeader { first_block: 40, ..first };
    assert!(!second.begins_picture(&first) && first.begins_picture(&second));
    for other in [
        SliceHeader { frame_num: 4, ..second },
        SliceHeader { order_lsb: 8, ..second },
        SliceHeader { is_reference: false, ..second },
        SliceHeader { is_idr: true, ..second },
        SliceHeader { is_field: true, ..second },
    ] {
        assert!(other.begins_picture(&first), "{other:?}");
    }
    assert!(!SliceHeader { is_redundant: true, ..first }.begins_picture(&first));
}

#[test]
fn recovery_points_are_found_among_other_messages() {
    assert_eq!(recovery_point(&[6, 6, 1, 0xc4, 0x80]), Some(0));
    assert_eq!(recovery_point(&[6, 5, 2, 0xaa, 0xaa, 6, 1, 0x64, 0x80]), Some(2));
    assert_eq!(recovery_point(&[6, 0xff, 1, 0, 6, 1, 0x64]), Some(2), "a type of two bytes");
    assert_eq!(recovery_point(&[6, 5, 0xff, 0xff]), None);
}

#[test]
fn the_slices_of_a_real_stream_are_in_the_order_of_the_encoder() {
    let stream = include_bytes!("../../../tests/data/raw/x264-slices-pyramid.h264");
    let mut splitter = Splitter::new();
    splitter.push(stream);
    splitter.finish();
    let (mut sets, mut counter, mut orders) = ((None, None), OrderCounter::default(), vec![]);
    while let Some(Piece::Nal(nal)) = splitter.next() {
        match nal_type(nal[0]) {
            SPS => sets.0 = Sps::parse(nal),
            PPS => sets.1 = Pps::parse(nal),
            SLICE | IDR_SLICE => {
                let (Some(sps), Some(pps)) = &sets else { panic!("sets come first") };
                let slice = SliceHeader::parse(nal, sps, pps).expect("a slice");
                assert_eq!(SliceHeader::parse(&nal[..8], sps, pps), Some(slice), "the beginning is enough");
                if slice.first_block == 0 {
                    orders.push(counter.count(sps, &slice));
                }
            }
            _ => {}
        }
    }
    assert_eq!(orders, [0, 6, 2, 4, 14, 10, 8, 12, 0, 6, 2, 4]);
}
