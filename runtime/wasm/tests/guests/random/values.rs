//! Random values of any type of the interface, as they lie in a guest's memory or on its stack. Mostly well formed;
//! now and then hostile: pointers that lead nowhere, lengths beyond everything, cases that do not exist, text that is
//! not UTF-8.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use wit_parser::{Resolve, SizeAlign, Type, TypeDefKind};

/// Where the data of a module begins; below it lie results of host calls.
pub const DATA: u32 = 4096;

/// One argument on the stack.
#[derive(Debug, Clone, Copy)]
pub enum Flat {
    I32(i32),
    I64(i64),
    F64(f64),
}

/// The data of a module under construction.
pub struct Values<'a> {
    pub rng: StdRng,
    pub resolve: &'a Resolve,
    pub layout: SizeAlign,
    pub data: Vec<u8>,
    /// Of 1,000 pointers, lengths and cases, how many are hostile.
    pub hostile: u32,
    /// Texts that mean something to the interface under test.
    pub texts: Vec<String>,
    /// No answer drops or splits an event.
    pub keeps: bool,
    /// Rows are mostly below this.
    pub rows: u32,
}

impl Values<'_> {
    pub fn one_in(&mut self, count: u32) -> bool {
        self.rng.random_ratio(1, count)
    }

    fn is_hostile(&mut self) -> bool {
        self.rng.random_range(0..1000) < self.hostile
    }

    /// Room in the data; its address.
    pub fn room(&mut self, bytes: usize, align: usize) -> u32 {
        let start = self.data.len().next_multiple_of(align.max(1));
        self.data.resize(start + bytes, 0);
        DATA + start as u32
    }

    fn put(&mut self, at: u32, bytes: &[u8]) {
        let start = (at - DATA) as usize;
        self.data[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn any_number(&mut self) -> u64 {
        match self.rng.random_range(0..8) {
            0 => 0,
            1 => u64::MAX,
            2 => i64::MAX as u64,
            3 => u64::from(u32::MAX),
            4 => self.rng.random(),
            _ => self.rng.random_range(0..100),
        }
    }

    fn number32(&mut self) -> u32 {
        if self.one_in(10) { self.any_number() as u32 } else { self.rng.random_range(0..=self.rows) }
    }

    fn real(&mut self) -> f64 {
        *[0.0, -1.5, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].choose(&mut self.rng).unwrap()
    }

    /// The bytes of a text or a list of bytes.
    fn bytes(&mut self, is_text: bool) -> Vec<u8> {
        let mut bytes = match self.rng.random_range(0..12) {
            0 => Vec::new(),
            1 => vec![b'x'; self.rng.random_range(1..5000)],
            2 => "ä\u{202e}\r\n\0\u{1b}[2J🚀".as_bytes().to_vec(),
            3 => (0..self.rng.random_range(0..64)).map(|_| self.rng.random_range(b' '..b'~')).collect(),
            _ => self.texts.choose(&mut self.rng).map_or(Vec::new(), |text| text.clone().into_bytes()),
        };
        let breaks = if is_text { self.is_hostile() } else { self.one_in(3) };
        if breaks {
            bytes.extend_from_slice(b"\xff\xc0\x80");
        }
        bytes
    }

    /// Pointer and length.
    fn pair(&mut self, at: u32, count: usize) -> (u32, u32) {
        if !self.is_hostile() {
            return (at, count as u32);
        }
        let pointer =
            *[0, at + 1, 65_535, 0x7fff_ffff, 0xffff_fff0, 0xffff_ffff].choose(&mut self.rng).unwrap();
        let length =
            *[count as u32, 1, 65_536, 0x0100_0000, 0x7fff_ffff, 0xffff_ffff].choose(&mut self.rng).unwrap();
        (pointer, length)
    }

    fn text(&mut self, is_text: bool) -> (u32, u32) {
        let bytes = self.bytes(is_text);
        let at = self.room(bytes.len(), 1);
        self.put(at, &bytes);
        self.pair(at, bytes.len())
    }

    fn list(&mut self, element: &Type) -> (u32, u32) {
        if matches!(self.plain(element), Plain::Bits8) {
            return self.text(false);
        }
        let count = if self.one_in(40) { 2000 } else { self.rng.random_range(0..5) };
        let size = self.layout.size(element).size_wasm32();
        let at = self.room(size * count, self.layout.align(element).align_wasm32());
        let mut ascending = 0;
        let is_rows = matches!(self.plain(element), Plain::Bits32) && !self.one_in(8);
        for index in 0..count {
            let place = at + (index * size) as u32;
            if is_rows {
                // As lists of rows and of ends must be.
                let step = self.rng.random_range(1..3);
                self.put(place, &u32::to_le_bytes(ascending));
                ascending += step;
            } else {
                self.store(element, place);
            }
        }
        self.pair(at, count)
    }

    fn plain(&self, ty: &Type) -> Plain {
        match ty {
            Type::U8 | Type::S8 => Plain::Bits8,
            Type::U32 | Type::S32 => Plain::Bits32,
            Type::Id(id) => match &self.resolve.types[*id].kind {
                TypeDefKind::Type(inner) => self.plain(inner),
                _ => Plain::Other,
            },
            _ => Plain::Other,
        }
    }

    fn case(&mut self, count: usize) -> u32 {
        if self.is_hostile() { self.rng.random_range(0..300) } else { self.rng.random_range(0..count as u32) }
    }

    fn put_pair(&mut self, at: u32, (pointer, length): (u32, u32)) {
        self.put(at, &pointer.to_le_bytes());
        self.put(at + 4, &length.to_le_bytes());
    }

    fn is_named(&self, id: wit_parser::TypeId, name: &str) -> bool {
        self.resolve.types[id].name.as_deref() == Some(name)
    }

    fn put_numbers(&mut self, numbers: &[u32], at: u32) {
        let place = self.room(numbers.len() * 4, 4);
        for (index, number) in numbers.iter().enumerate() {
            self.put(place + index as u32 * 4, &number.to_le_bytes());
        }
        let pair = self.pair(place, numbers.len());
        self.put_pair(at, pair);
    }

    /// So many strings back to back, and where each ends.
    fn store_packed(&mut self, count: usize, at: u32) {
        let strings: Vec<Vec<u8>> = (0..count).map(|_| self.bytes(true)).collect();
        let joined = strings.concat();
        let place = self.room(joined.len(), 1);
        self.put(place, &joined);
        let pair = self.pair(place, joined.len());
        self.put_pair(at, pair);
        let ends = strings.iter().scan(0, |end, string| {
            *end += string.len() as u32;
            Some(*end)
        });
        self.put_numbers(&ends.collect::<Vec<_>>(), at + 8);
    }

    /// A few events, their headers and bodies in agreement.
    fn store_events(&mut self, at: u32) {
        const NAMES: [&str; 2] = ["k", "other"];
        let place = self.room(NAMES.len() * 8, 4);
        for (index, name) in NAMES.iter().enumerate() {
            let text = self.room(name.len(), 1);
            self.put(text, name.as_bytes());
            self.put_pair(place + index as u32 * 8, (text, name.len() as u32));
        }
        self.put_pair(at, (place, NAMES.len() as u32));
        let counts: Vec<u32> =
            (0..self.rng.random_range(0..5)).map(|_| self.rng.random_range(0..3)).collect();
        let ids: Vec<u32> = counts.iter().flat_map(|count| 0..*count).collect();
        self.put_numbers(&counts, at + 8);
        self.put_numbers(&ids, at + 16);
        self.store_packed(ids.len(), at + 24);
        self.store_packed(counts.len(), at + 40);
    }

    fn store_fields(&mut self, fields: &[Type], at: u32) {
        let offsets: Vec<(usize, Type)> = self
            .layout
            .field_offsets(fields)
            .into_iter()
            .map(|(offset, ty)| (offset.size_wasm32(), *ty))
            .collect();
        for (offset, ty) in offsets {
            self.store(&ty, at + offset as u32);
        }
    }

    /// One of `cases`, the payloads of a variant. `prefer`: a case that is chosen nine times out of ten.
    fn store_case(&mut self, cases: &[Option<Type>], prefer: Option<u32>, at: u32) {
        let chosen = match prefer {
            Some(preferred) if !self.one_in(10) => preferred,
            _ => self.case(cases.len()),
        };
        self.store_chosen(cases, chosen, at);
    }

    fn store_chosen(&mut self, cases: &[Option<Type>], chosen: u32, at: u32) {
        self.put(at, &[chosen as u8]);
        let tag = wit_parser::Int::U8;
        let offset = self.layout.payload_offset(tag, cases.iter().map(Option::as_ref)).size_wasm32();
        if let Some(Some(payload)) = cases.get(chosen as usize) {
            self.store(payload, at + offset as u32);
        }
    }

    /// Writes a random value.
    pub fn store(&mut self, ty: &Type, at: u32) {
        match ty {
            Type::Bool | Type::U8 | Type::S8 => {
                let byte: u8 = self.rng.random();
                self.put(at, &[byte]);
            }
            Type::U16 | Type::S16 => {
                let number = self.any_number() as u16;
                self.put(at, &number.to_le_bytes());
            }
            Type::U32 | Type::S32 | Type::Char | Type::F32 => {
                let number = self.number32();
                self.put(at, &number.to_le_bytes());
            }
            Type::U64 | Type::S64 => {
                let number = self.any_number();
                self.put(at, &number.to_le_bytes());
            }
            Type::F64 => {
                let number = self.real();
                self.put(at, &number.to_le_bytes());
            }
            Type::String => {
                let pair = self.text(true);
                self.put_pair(at, pair);
            }
            Type::Id(id) => match self.resolve.types[*id].kind.clone() {
                TypeDefKind::Type(inner) => self.store(&inner, at),
                TypeDefKind::List(element) => {
                    let pair = self.list(&element);
                    self.put_pair(at, pair);
                }
                TypeDefKind::Record(_) if self.is_named(*id, "packed") && !self.one_in(10) => {
                    let count = self.rng.random_range(0..5);
                    self.store_packed(count, at);
                }
                TypeDefKind::Record(_) if self.is_named(*id, "packed-events") && !self.one_in(10) => {
                    self.store_events(at);
                }
                TypeDefKind::Record(record) => {
                    self.store_fields(&record.fields.iter().map(|field| field.ty).collect::<Vec<_>>(), at);
                }
                TypeDefKind::Tuple(tuple) => self.store_fields(&tuple.types, at),
                TypeDefKind::Option(inner) => self.store_case(&[None, Some(inner)], None, at),
                TypeDefKind::Result(result) => self.store_case(&[result.ok, result.err], Some(0), at),
                TypeDefKind::Variant(variant) => {
                    let cases: Vec<_> = variant.cases.iter().map(|case| case.ty).collect();
                    let mut chosen = self.case(cases.len());
                    let ends = |chosen: u32| {
                        variant
                            .cases
                            .get(chosen as usize)
                            .is_some_and(|case| ["drop", "split"].contains(&&*case.name))
                    };
                    while self.keeps && ends(chosen) {
                        chosen = self.case(cases.len());
                    }
                    self.store_chosen(&cases, chosen, at);
                }
                TypeDefKind::Enum(cases) => {
                    let case = self.case(cases.cases.len()) as u8;
                    self.put(at, &[case]);
                }
                other => unreachable!("the package has no {other:?} in its values"),
            },
            other => unreachable!("the package has no {other:?}"),
        }
    }

    /// A random value as arguments.
    pub fn flat(&mut self, ty: &Type, out: &mut Vec<Flat>) {
        match ty {
            Type::U64 | Type::S64 => {
                let number = self.any_number();
                out.push(Flat::I64(number as i64));
            }
            Type::F64 => {
                let number = self.real();
                out.push(Flat::F64(number));
            }
            Type::String => {
                let (pointer, length) = self.text(true);
                out.extend([Flat::I32(pointer as i32), Flat::I32(length as i32)]);
            }
            Type::Id(id) => match self.resolve.types[*id].kind.clone() {
                TypeDefKind::Type(inner) => self.flat(&inner, out),
                TypeDefKind::List(element) => {
                    let (pointer, length) = self.list(&element);
                    out.extend([Flat::I32(pointer as i32), Flat::I32(length as i32)]);
                }
                TypeDefKind::Record(record) => {
                    record.fields.iter().for_each(|field| self.flat(&field.ty, out))
                }
                TypeDefKind::Tuple(tuple) => tuple.types.iter().for_each(|ty| self.flat(ty, out)),
                TypeDefKind::Option(inner) => {
                    let case = self.case(2);
                    out.push(Flat::I32(case as i32));
                    self.flat(&inner, out);
                }
                TypeDefKind::Enum(cases) => {
                    let case = self.case(cases.cases.len());
                    out.push(Flat::I32(case as i32));
                }
                TypeDefKind::Handle(_) => out.push(Flat::I32(self.rng.random_range(0..4))),
                other => unreachable!("the package passes no {other:?}"),
            },
            _ => {
                let number = self.number32();
                out.push(Flat::I32(number as i32));
            }
        }
    }
}

enum Plain {
    Bits8,
    Bits32,
    Other,
}
