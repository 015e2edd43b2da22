//! Reproducible damage to model files.

/// A small generator of reproducible numbers (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

const HUGE: &[&[u8]] = &[
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
];

/// One to three changes: a flipped bit, another byte, a cut, an insertion, a repeated range, an enormous varint.
pub fn mutate_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        let length = random.below(24).min(bytes.len() - at);
        match random.below(8) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            3 => bytes.truncate(at),
            4 => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
            5 => {
                let copy = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            6 => drop(bytes.drain(at..at + length)),
            _ => {
                let huge = HUGE[random.below(HUGE.len())];
                bytes.splice(at..at + usize::from(random.below(2) == 0), huge.iter().copied());
            }
        }
    }
}

/// One change that keeps the file well formed: a field is repeated, removed, moved or changed in its message, at any depth,
/// and all lengths around it are right again.
pub fn mutate_fields(bytes: &mut Vec<u8>, random: &mut Random) {
    let Some(mut fields) = parse(bytes) else { return };
    let at = random.below(fields.len().max(1));
    let Some((key, contents)) = fields.get_mut(at) else { return };
    let nested = *key & 7 == 2 && parse(contents).is_some_and(|fields| !fields.is_empty());
    if nested && random.below(8) != 0 {
        mutate_fields(contents, random);
    } else {
        let field = (*key, contents.clone());
        let to = random.below(fields.len());
        match random.below(5) {
            0 => fields.insert(to, field),
            1 => drop(fields.remove(at)),
            2 => fields.swap(at, to),
            3 if !field.1.is_empty() => {
                let byte = random.below(field.1.len());
                fields[at].1[byte] ^= 1 << random.below(8);
            }
            // Another tag, of the same wire type.
            _ => fields[at].0 = (field.0 & 7) | (u64::try_from(random.below(26)).unwrap() + 1) << 3,
        }
    }
    *bytes = fields.iter().flat_map(|(key, contents)| encode(*key, contents)).collect();
}

/// The keys and contents of a message's fields; `None` where the bytes are no message.
fn parse(mut bytes: &[u8]) -> Option<Vec<(u64, Vec<u8>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let before = bytes;
        let length = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                before.len() - bytes.len()
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let start = if key.trailing_zeros() >= 3 { before } else { bytes };
        let (contents, rest) = start.split_at_checked(length)?;
        fields.push((key, contents.to_vec()));
        bytes = rest;
    }
    Some(fields)
}

fn encode(key: u64, contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(key, &mut bytes);
    if key & 7 == 2 {
        prost::encoding::encode_varint(contents.len() as u64, &mut bytes);
    }
    bytes.extend(contents);
    bytes
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(bytes).ok()
}
