//! Derivations as they stand in the store: `.drv` files.
//!
//! The format is that of `Derivation::unparse` in Nix's source, the same in every version: a term,
//! `Derive(outputs,inputDrvs,inputSrcs,system,builder,args,env)`. Dynamic derivations have another, `DrvWithVersion(…)`, which is
//! an error here.

use std::borrow::Cow;

use thiserror::Error;

/// A derivation, all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DerivationFile<'a> {
    /// What it makes, by id.
    pub(super) outputs: Vec<Output<'a>>,
    /// The derivations that it is built from, and which of their outputs.
    pub(super) input_derivations: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)>,
    /// The paths that it is built from and that no derivation makes.
    pub(super) input_sources: Vec<Cow<'a, str>>,
    /// The system that it is built on.
    pub(super) system: Cow<'a, str>,
    /// The program that builds it.
    pub(super) builder: Cow<'a, str>,
    /// The arguments of the program.
    pub(super) args: Vec<Cow<'a, str>>,
    /// The environment of the program: the attributes.
    pub(super) env: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// An output of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output<'a> {
    /// Its id: `out`, `dev`.
    pub(super) id: Cow<'a, str>,
    /// Its path; empty where it is known only when it is built.
    pub(super) path: Cow<'a, str>,
    /// How its content is hashed (`sha256`, `r:sha256`); empty where its path does not stand for its content.
    pub(super) hash_algorithm: Cow<'a, str>,
    /// The hash that its content must have, in base 16; empty, or no hash, where none is given.
    pub(super) hash: Cow<'a, str>,
}

impl Output<'_> {
    /// Returns whether its path stands for its content, which was given beforehand.
    pub(super) fn is_fixed(&self) -> bool {
        !self.path.is_empty() && !self.hash_algorithm.is_empty() && !self.hash.is_empty()
    }
}

/// Why bytes are not a derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is no derivation: {left} bytes before the end there should be {expected}")]
pub(super) struct Malformed {
    /// What should stand there.
    expected: &'static str,
    /// How many bytes are left there.
    left: usize,
}

/// Returns the derivation that `bytes` spell. What is not UTF-8 in its strings is replaced.
///
/// # Errors
///
/// The bytes are not what Nix writes for a derivation, to the last one.
pub(super) fn parse(bytes: &[u8]) -> Result<DerivationFile<'_>, Malformed> {
    let mut cursor = Cursor(bytes);
    let outputs = cursor.outputs()?;
    cursor.expect(",")?;
    let input_derivations = cursor.list(|cursor| {
        cursor.expect("(")?;
        let path = cursor.string()?;
        cursor.expect(",")?;
        let outputs = cursor.list(Cursor::string)?;
        cursor.expect(")")?;
        Ok((path, outputs))
    })?;
    cursor.expect(",")?;
    let input_sources = cursor.list(Cursor::string)?;
    cursor.expect(",")?;
    let system = cursor.string()?;
    cursor.expect(",")?;
    let builder = cursor.string()?;
    cursor.expect(",")?;
    let args = cursor.list(Cursor::string)?;
    cursor.expect(",")?;
    let env = cursor.list(|cursor| {
        let [name, value] = cursor.tuple()?;
        Ok((name, value))
    })?;
    cursor.expect(")")?;
    if !cursor.0.is_empty() {
        return Err(cursor.malformed("the end"));
    }
    Ok(DerivationFile {
        outputs,
        input_derivations,
        input_sources,
        system,
        builder,
        args,
        env,
    })
}

/// Returns the outputs of the derivation that `bytes` spell. They come first; what follows is not looked at.
///
/// # Errors
///
/// The bytes do not begin as a derivation does.
pub(super) fn parse_outputs(bytes: &[u8]) -> Result<Vec<Output<'_>>, Malformed> {
    Cursor(bytes).outputs()
}

/// What is still to be read.
#[derive(Debug, Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn malformed(self, expected: &'static str) -> Malformed {
        Malformed {
            expected,
            left: self.0.len(),
        }
    }

    /// Returns whether `text` stood there, and was skipped.
    fn skip(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text.as_bytes());
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, text: &'static str) -> Result<(), Malformed> {
        if self.skip(text) {
            Ok(())
        } else {
            Err(self.malformed(text))
        }
    }

    fn outputs(&mut self) -> Result<Vec<Output<'a>>, Malformed> {
        self.expect("Derive(")?;
        self.list(|cursor| {
            let [id, path, hash_algorithm, hash] = cursor.tuple()?;
            Ok(Output {
                id,
                path,
                hash_algorithm,
                hash,
            })
        })
    }

    /// Reads `[ITEM,ITEM]`.
    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.expect("[")?;
        let mut items = Vec::new();
        if self.skip("]") {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.skip("]") {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    /// Reads `("TEXT","TEXT")`.
    fn tuple<const N: usize>(&mut self) -> Result<[Cow<'a, str>; N], Malformed> {
        let mut texts = [const { Cow::Borrowed("") }; N];
        for (place, text) in texts.iter_mut().enumerate() {
            self.expect(if place == 0 { "(" } else { "," })?;
            *text = self.string()?;
        }
        self.expect(")")?;
        Ok(texts)
    }

    /// Reads `"TEXT"`.
    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.expect("\"")?;
        let mut unescaped = Vec::new();
        loop {
            let special = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            let split = special.and_then(|at| self.0.split_at_checked(at));
            let Some((plain, rest)) = split else {
                return Err(self.malformed("the end of a string"));
            };
            self.0 = rest;
            if self.skip("\"") {
                return Ok(if unescaped.is_empty() {
                    String::from_utf8_lossy(plain)
                } else {
                    unescaped.extend_from_slice(plain);
                    Cow::Owned(String::from_utf8_lossy(&unescaped).into_owned())
                });
            }
            let (escaped, rest) = match rest {
                [b'\\', b'n', rest @ ..] => (b'\n', rest),
                [b'\\', b'r', rest @ ..] => (b'\r', rest),
                [b'\\', b't', rest @ ..] => (b'\t', rest),
                [b'\\', escaped @ (b'"' | b'\\'), rest @ ..] => (*escaped, rest),
                _ => return Err(self.malformed("an escape")),
            };
            self.0 = rest;
            unescaped.extend_from_slice(plain);
            unescaped.push(escaped);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A derivation as Nix writes it.
    const REAL: &[u8] = br#"Derive([("dev","/n/11111111111111111111111111111111-a-1-dev","",""),("out","/n/22222222222222222222222222222222-a-1","","")],[("/n/33333333333333333333333333333333-b.drv",["dev","out"])],["/n/44444444444444444444444444444444-x.patch"],"x86_64-linux","/bin/sh",["-c","echo \"\\\t\n\r$\""],[("name","a-1"),("odd","\\n")])"#;

    #[test]
    fn every_part_is_read() {
        insta::assert_debug_snapshot!(parse(REAL).unwrap(), @r#"
        DerivationFile {
            outputs: [
                Output {
                    id: "dev",
                    path: "/n/11111111111111111111111111111111-a-1-dev",
                    hash_algorithm: "",
                    hash: "",
                },
                Output {
                    id: "out",
                    path: "/n/22222222222222222222222222222222-a-1",
                    hash_algorithm: "",
                    hash: "",
                },
            ],
            input_derivations: [
                (
                    "/n/33333333333333333333333333333333-b.drv",
                    [
                        "dev",
                        "out",
                    ],
                ),
            ],
            input_sources: [
                "/n/44444444444444444444444444444444-x.patch",
            ],
            system: "x86_64-linux",
            builder: "/bin/sh",
            args: [
                "-c",
                "echo \"\\\t\n\r$\"",
            ],
            env: [
                (
                    "name",
                    "a-1",
                ),
                (
                    "odd",
                    "\\n",
                ),
            ],
        }
        "#);
        assert_eq!(parse_outputs(REAL).unwrap(), parse(REAL).unwrap().outputs);
    }

    #[test]
    fn anything_else_is_refused() {
        let table: Vec<String> = [
            &b""[..],
            b"DrvWithVersion(\"xp-dyn-drv\",[],[],[],\"\",\"\",[],[])",
            b"Derive([],[],[],\"\",\"\",[],[]) ",
            b"Derive([],[],[],\"\",\"\",[],[]",
            b"Derive([], [],[],\"\",\"\",[],[])",
            b"Derive([,],[],[],\"\",\"\",[],[])",
            b"Derive([],[],[\"a\",],\"\",\"\",[],[])",
            b"Derive([],[],[],\"\\x\",\"\",[],[])",
            b"Derive([],[],[],\"\",\"\",[],[(\"a\",\"b\",\"c\")])",
            b"Derive([(\"out\",\"\",\"\")],[],[],\"\",\"\",[],[])",
            b"\xff\xfe",
        ]
        .iter()
        .map(|bytes| parse(bytes).unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(table.join("\n"), @r#"
        it is no derivation: 0 bytes before the end there should be Derive(
        it is no derivation: 49 bytes before the end there should be Derive(
        it is no derivation: 1 bytes before the end there should be the end
        it is no derivation: 0 bytes before the end there should be )
        it is no derivation: 19 bytes before the end there should be [
        it is no derivation: 21 bytes before the end there should be (
        it is no derivation: 14 bytes before the end there should be "
        it is no derivation: 13 bytes before the end there should be an escape
        it is no derivation: 7 bytes before the end there should be )
        it is no derivation: 21 bytes before the end there should be ,
        it is no derivation: 2 bytes before the end there should be Derive(
        "#);
    }

    #[test]
    fn an_output_is_fixed_by_a_hash_given_beforehand() {
        // Fixed, floating, impure, by its inputs, and one that depends on a floating one.
        let table = [
            ("/n/x", "r:sha256", "0f", true),
            ("", "r:sha256", "", false),
            ("", "r:sha256", "impure", false),
            ("/n/x", "", "", false),
            ("", "", "", false),
        ];
        for (path, algorithm, hash, fixed) in table {
            let output = Output {
                id: "out".into(),
                path: path.into(),
                hash_algorithm: algorithm.into(),
                hash: hash.into(),
            };
            assert_eq!(output.is_fixed(), fixed, "{output:?}");
        }
    }

    fn quoted(text: &[u8]) -> Vec<u8> {
        let mut out = b"\"".to_vec();
        for byte in text {
            match byte {
                b'\n' => out.extend(b"\\n"),
                b'\r' => out.extend(b"\\r"),
                b'\t' => out.extend(b"\\t"),
                b'"' | b'\\' => out.extend([b'\\', *byte]),
                _ => out.push(*byte),
            }
        }
        out.push(b'"');
        out
    }

    fn list(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
        let items: Vec<Vec<u8>> = items.into_iter().collect();
        [b"[".to_vec(), items.join(&b","[..]), b"]".to_vec()].concat()
    }

    fn tuple(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
        let items: Vec<Vec<u8>> = items.into_iter().collect();
        [b"(".to_vec(), items.join(&b","[..]), b")".to_vec()].concat()
    }

    /// Returns a derivation in which every kind of place holds `texts`.
    fn written(texts: &[Vec<u8>]) -> Vec<u8> {
        let strings = || texts.iter().map(|text| quoted(text));
        let first = strings().next().unwrap_or_else(|| quoted(b""));
        let parts = [
            list(texts.iter().map(|text| tuple(vec![quoted(text); 4]))),
            list(strings().map(|text| tuple([text, list(strings())]))),
            list(strings()),
            first.clone(),
            first,
            list(strings()),
            list(texts.iter().map(|text| tuple(vec![quoted(text); 2]))),
        ];
        [b"Derive".to_vec(), tuple(parts)].concat()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(texts in vec(vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'"')], 0..8), 0..4)) {
            let bytes = written(&texts);
            let read = parse(&bytes).unwrap();
            let expected: Vec<Cow<'_, str>> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
            prop_assert_eq!(&read.args, &expected);
            prop_assert_eq!(&read.input_sources, &expected);
            prop_assert_eq!(read.env.iter().map(|(name, _)| name).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
            prop_assert_eq!(read.outputs.iter().map(|output| &output.hash).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
            prop_assert!(read.input_derivations.iter().all(|(_, outputs)| *outputs == expected));
        }

        #[test]
        fn no_beginning_of_a_derivation_is_one(texts in vec(vec(any::<u8>(), 0..4), 0..3)) {
            let bytes = written(&texts);
            for end in 0..bytes.len() {
                prop_assert!(parse(&bytes[..end]).is_err());
            }
        }

        #[test]
        fn no_bytes_do_harm(noise in vec(any::<u8>(), 0..64), at in 0..REAL.len(), byte in any::<u8>()) {
            let _parsed = parse(&noise);
            let mut bytes = REAL.to_vec();
            bytes[at] = byte;
            // Whatever is read of it, it is read to the end.
            if let Ok(read) = parse(&bytes) {
                prop_assert_eq!(&parse_outputs(&bytes).unwrap(), &read.outputs);
            }
            let _parsed = parse(&[b"Derive([(\"", &noise[..]].concat());
        }
    }
}
