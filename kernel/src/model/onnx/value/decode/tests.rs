//! Every data type and storage field, and what contradicts itself.

use super::*;
use crate::model::onnx::proto::StringStringEntryProto;

fn decode(tensor: &TensorProto) -> Result<Value, TensorError> {
    decode_tensor(tensor, &mut ExternalData::new(None))
}

fn tensor(data_type: DataType, dims: &[i64]) -> TensorProto {
    TensorProto { data_type: data_type as i32, dims: dims.to_vec(), ..Default::default() }
}

fn raw(data_type: DataType, dims: &[i64], bytes: &[u8]) -> Result<Value, TensorError> {
    decode(&TensorProto { raw_data: Some(bytes.to_vec()), ..tensor(data_type, dims) })
}

fn narrow(data_type: DataType, values: &[i32]) -> Result<Value, TensorError> {
    decode(&TensorProto { int32_data: values.to_vec(), ..tensor(data_type, &[i64::try_from(values.len()).unwrap()]) })
}

fn floats_of(value: Result<Value, TensorError>) -> Vec<f64> {
    value.unwrap().as_float().unwrap().data().to_vec()
}

fn ints_of(value: Result<Value, TensorError>) -> Vec<i64> {
    value.unwrap().as_ints().unwrap().to_vec()
}

#[test]
fn floats_are_exact_in_raw_and_typed_fields() {
    let values = [0.1f32, -0.0, f32::MIN_POSITIVE / 8.0, f32::INFINITY];
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let expected: Vec<u64> = values.iter().map(|&v| f64::from(v).to_bits()).collect();
    let typed = decode(&TensorProto { float_data: values.to_vec(), ..tensor(DataType::Float, &[2, 2]) });
    for value in [raw(DataType::Float, &[2, 2], &bytes), typed] {
        assert_eq!(value.as_ref().unwrap().shape(), [2, 2]);
        assert_eq!(floats_of(value).iter().map(|v| v.to_bits()).collect::<Vec<_>>(), expected);
    }
    assert_eq!(floats_of(raw(DataType::Double, &[1], &0.1f64.to_le_bytes())), [0.1]);
    assert_eq!(floats_of(decode(&TensorProto { double_data: vec![0.1], ..tensor(DataType::Double, &[]) })), [0.1]);
    assert!(floats_of(raw(DataType::Float, &[1], &f32::NAN.to_le_bytes()))[0].is_nan());
}

#[test]
fn half_precision_is_exact() {
    for (bits, expected) in [
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x7bff, 65504.0),
        (0x0400, 2f64.powi(-14)),
        (0x0001, 2f64.powi(-24)),
        (0x83ff, -1023.0 * 2f64.powi(-24)),
        (0x3555, 0.333_251_953_125),
        (0xfc00, f64::NEG_INFINITY),
    ] {
        assert_eq!(half(bits).to_bits(), f64::to_bits(expected), "{bits:x}");
        assert_eq!(floats_of(narrow(DataType::Float16, &[i32::from(bits)])), [expected]);
        assert_eq!(floats_of(raw(DataType::Float16, &[1], &bits.to_le_bytes())), [expected]);
    }
    assert!(half(0x8000).is_sign_negative() && half(0x7e00).is_nan());
    assert_eq!(floats_of(raw(DataType::Bfloat16, &[2], &[0x80, 0x3f, 0x49, 0xc0])), [1.0, -3.140_625]);
    assert_eq!(floats_of(narrow(DataType::Bfloat16, &[0xff80])), [f64::NEG_INFINITY]);
    for data_type in [DataType::Float16, DataType::Bfloat16] {
        assert!(matches!(narrow(data_type, &[0x1_0000]), Err(TensorError::OutOfRange { .. })));
        assert!(matches!(narrow(data_type, &[-1]), Err(TensorError::OutOfRange { .. })));
    }
}

/// All 65536 values against the rule that neighbours of one binade are equally spaced and signs mirror.
#[test]
fn half_precision_is_monotone_and_matches_its_own_rounding() {
    let mut previous = half(0);
    for bits in 1..=0x7c00u16 {
        let value = half(bits);
        assert!(value > previous);
        assert_eq!(half(bits | 0x8000).to_bits(), (-value).to_bits());
        let step = 2f64.powi(i32::from(((bits - 1) >> 10).max(1)) - 25);
        assert!(value.is_infinite() || (value - previous).to_bits() == step.to_bits(), "{bits:x}");
        previous = value;
    }
}

#[test]
fn integers_of_every_width() {
    assert_eq!(ints_of(raw(DataType::Int8, &[2], &[0x80, 0x7f])), [-128, 127]);
    assert_eq!(ints_of(raw(DataType::Uint8, &[2], &[0x80, 0xff])), [128, 255]);
    assert_eq!(ints_of(raw(DataType::Int16, &[1], &i16::MIN.to_le_bytes())), [-32768]);
    assert_eq!(ints_of(raw(DataType::Uint16, &[1], &u16::MAX.to_le_bytes())), [65535]);
    assert_eq!(ints_of(raw(DataType::Int32, &[1], &i32::MIN.to_le_bytes())), [i64::from(i32::MIN)]);
    assert_eq!(ints_of(raw(DataType::Uint32, &[1], &u32::MAX.to_le_bytes())), [i64::from(u32::MAX)]);
    assert_eq!(ints_of(raw(DataType::Int64, &[1], &i64::MIN.to_le_bytes())), [i64::MIN]);
    assert_eq!(ints_of(raw(DataType::Uint64, &[1], &7u64.to_le_bytes())), [7]);
    assert_eq!(ints_of(narrow(DataType::Int8, &[-128, 127])), [-128, 127]);
    assert_eq!(ints_of(narrow(DataType::Uint8, &[255])), [255]);
    assert_eq!(ints_of(narrow(DataType::Int16, &[-32768])), [-32768]);
    assert_eq!(ints_of(narrow(DataType::Uint16, &[65535])), [65535]);
    assert_eq!(ints_of(narrow(DataType::Int32, &[i32::MIN])), [i64::from(i32::MIN)]);
    assert_eq!(ints_of(decode(&TensorProto { int64_data: vec![-5], ..tensor(DataType::Int64, &[1]) })), [-5]);
    let wide = |data_type, value| decode(&TensorProto { uint64_data: vec![value], ..tensor(data_type, &[1]) });
    assert_eq!(ints_of(wide(DataType::Uint32, u64::from(u32::MAX))), [i64::from(u32::MAX)]);
    assert_eq!(ints_of(wide(DataType::Uint64, i64::MAX as u64)), [i64::MAX]);
    for refused in [
        wide(DataType::Uint32, 1 << 32),
        wide(DataType::Uint64, 1 << 63),
        raw(DataType::Uint64, &[1], &u64::MAX.to_le_bytes()),
        narrow(DataType::Int8, &[128]),
        narrow(DataType::Uint8, &[-1]),
        narrow(DataType::Int16, &[32768]),
        narrow(DataType::Uint16, &[65536]),
    ] {
        assert!(matches!(refused, Err(TensorError::OutOfRange { index: 0, .. })), "{refused:?}");
    }
}

#[test]
fn truth_values_are_zero_or_one() {
    assert_eq!(raw(DataType::Bool, &[2], &[0, 1]).unwrap().as_bools(), Some(&[false, true][..]));
    assert_eq!(narrow(DataType::Bool, &[1]).unwrap().as_bools(), Some(&[true][..]));
    assert!(matches!(raw(DataType::Bool, &[1], &[2]), Err(TensorError::OutOfRange { .. })));
    assert!(matches!(narrow(DataType::Bool, &[-1]), Err(TensorError::OutOfRange { .. })));
}

#[test]
fn other_types_are_refused_by_name() {
    for (data_type, name) in [
        (DataType::String, "STRING"),
        (DataType::Complex64, "COMPLEX64"),
        (DataType::Float8E4m3fn, "FLOAT8E4M3FN"),
        (DataType::Int4, "INT4"),
        (DataType::Undefined, "UNDEFINED"),
    ] {
        assert_eq!(decode(&tensor(data_type, &[0])), Err(TensorError::UnsupportedType(name.into())));
    }
    let unknown = TensorProto { data_type: -7, ..Default::default() };
    assert_eq!(decode(&unknown), Err(TensorError::UnsupportedType("number -7".into())));
}

#[test]
fn dimensions_are_checked_before_anything_is_allocated() {
    let float = |dims: &[i64]| decode(&tensor(DataType::Float, dims));
    assert_eq!(float(&[2, -1]), Err(TensorError::NegativeDimension { axis: 1, extent: -1 }));
    assert!(matches!(float(&[i64::MIN]), Err(TensorError::NegativeDimension { .. })));
    for dims in [&[i64::MAX][..], &[1 << 32, 1 << 32], &[1 << 32, 1 << 32, 0], &[(1 << 27) + 1], &[i64::MAX, 0, i64::MAX]] {
        assert!(matches!(float(dims), Err(TensorError::TooLarge { .. })), "{dims:?}");
    }
    assert_eq!(float(&[1; 65]), Err(TensorError::TooManyDimensions { rank: 65, limit: 64 }));
    assert!(matches!(float(&[1 << 27]), Err(TensorError::Length { found: 0, .. })));
}

#[test]
fn the_number_of_values_must_match() {
    for bytes in [&[0; 7][..], &[0; 9], &[0; 4], &[]] {
        assert!(matches!(raw(DataType::Float, &[2], bytes), Err(TensorError::Length { .. })), "{bytes:?}");
    }
    assert!(matches!(raw(DataType::Float, &[0], &[0; 4]), Err(TensorError::Length { .. })));
    assert!(matches!(decode(&tensor(DataType::Float, &[])), Err(TensorError::Length { expected: 1, found: 0, .. })));
    let three = TensorProto { float_data: vec![0.0; 3], ..tensor(DataType::Float, &[2]) };
    assert!(matches!(decode(&three), Err(TensorError::Length { expected: 2, found: 3, unit: "values", .. })));
}

#[test]
fn empty_tensors_are_fine() {
    for data_type in [DataType::Float, DataType::Int64, DataType::Bool, DataType::Uint32] {
        assert_eq!(decode(&tensor(data_type, &[0, 3])).unwrap().shape(), [0, 3]);
        assert_eq!(raw(data_type, &[3, 0], &[]).unwrap().size(), 0);
    }
}

#[test]
fn values_in_two_places_or_the_wrong_one_are_refused() {
    let float = || tensor(DataType::Float, &[1]);
    let entry = StringStringEntryProto { key: "location".into(), value: "w.bin".into() };
    let both = TensorProto { raw_data: Some(vec![0; 4]), float_data: vec![0.0], ..float() };
    let wrong = TensorProto { int32_data: vec![1], ..float() };
    let unused = TensorProto { float_data: vec![0.0], external_data: vec![entry.clone()], ..float() };
    let external = TensorProto { data_location: 1, ..unused.clone() };
    assert!(matches!(decode(&both), Err(TensorError::Conflict { .. })));
    assert!(matches!(decode(&wrong), Err(TensorError::WrongField { .. })));
    assert!(matches!(decode(&unused), Err(TensorError::Conflict { .. })));
    assert!(matches!(decode(&external), Err(TensorError::Conflict { .. })));
    assert_eq!(decode(&TensorProto { data_location: 2, ..float() }), Err(TensorError::UnknownLocation(2)));
    assert_eq!(decode(&TensorProto { segment: Some(vec![]), ..float() }), Err(TensorError::Segmented));
    // An empty `raw_data` beside values holds nothing.
    assert!(decode(&TensorProto { raw_data: Some(vec![]), float_data: vec![0.5], ..float() }).is_ok());
}

#[test]
fn external_values_must_have_exactly_the_length_of_the_tensor() {
    let directory = tempfile::TempDir::new().unwrap();
    let bytes: Vec<u8> = [1.5f32, 2.5].iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(directory.path().join("w.bin"), bytes).unwrap();
    let mut external = ExternalData::new(Some(directory.path().to_path_buf()));
    let mut at = |dims: &[i64], pairs: &[(&str, &str)]| {
        let entry = |(key, value): &(&str, &str)| StringStringEntryProto { key: (*key).into(), value: (*value).into() };
        let external_data = [("location", "w.bin")].iter().chain(pairs).map(entry).collect();
        decode_tensor(&TensorProto { data_location: 1, external_data, ..tensor(DataType::Float, dims) }, &mut external)
    };
    assert_eq!(floats_of(at(&[2], &[])), [1.5, 2.5]);
    assert_eq!(floats_of(at(&[1], &[("offset", "4"), ("length", "4")])), [2.5]);
    assert_eq!(at(&[0], &[]).unwrap().size(), 0);
    assert!(matches!(at(&[1], &[]), Err(TensorError::Length { expected: 4, found: 8, .. })));
    assert!(matches!(at(&[1], &[("length", "3")]), Err(TensorError::Length { .. })));
    assert!(matches!(at(&[0], &[("length", "4")]), Err(TensorError::Length { .. })));
    assert!(matches!(at(&[3], &[("length", "12")]), Err(TensorError::External(_))));
}
