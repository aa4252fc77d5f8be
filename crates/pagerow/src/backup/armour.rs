//! Bytes as a line of text with its format and its checksum, and back.

use std::io::{Read as _, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use pagerow_core::digest::Digest;

use super::BackupError;

/// What a backup begins with.
const NAME: &str = "pagerow-backup";
/// The format that is written and read here.
const VERSION: &str = "1";
/// In the place of a payload that would not fit.
const LEFT_OUT: &str = "too-large";
/// No row has so many bytes: Postgres's own limit for one value.
const LARGEST: u64 = 1 << 30;

/// Whether the payload is to be opened with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Sealed,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sealed => "sealed",
        }
    }
}

/// The line that carries these bytes.
pub(super) fn text(form: Form, bytes: &[u8]) -> String {
    let checksum = Digest::of(bytes);
    format!("{NAME} {VERSION} {} {checksum} {}", form.name(), STANDARD_NO_PAD.encode(bytes))
}

/// The line that says that a row of so many bytes does not fit.
pub(super) fn too_large(bytes: usize) -> String {
    format!("{NAME} {VERSION} {LEFT_OUT} {bytes}")
}

/// The bytes of a line. Blanks around and inside the payload do not matter; anything else is a damage.
pub(super) fn bytes(text: &str) -> Result<(Form, Vec<u8>), BackupError> {
    let mut words = text.split_whitespace();
    match words.next() {
        None => return Err(BackupError::None),
        Some(NAME) => {}
        Some(_) => return Err(BackupError::Foreign),
    }
    let version = words.next().ok_or(BackupError::Damaged)?;
    if version != VERSION {
        return Err(version.parse().map_or(BackupError::Foreign, BackupError::Version));
    }
    let form = match words.next() {
        Some("plain") => Form::Plain,
        Some("sealed") => Form::Sealed,
        Some(LEFT_OUT) => {
            let bytes = words.next().and_then(|bytes| bytes.parse().ok());
            return Err(bytes.map_or(BackupError::Damaged, BackupError::TooLarge));
        }
        _ => return Err(BackupError::Damaged),
    };
    let checksum = words.next().ok_or(BackupError::Damaged)?;
    let payload: String = words.collect();
    let bytes = STANDARD_NO_PAD.decode(payload).map_err(|_| BackupError::Damaged)?;
    if Digest::of(&bytes).to_string() != checksum {
        return Err(BackupError::Damaged);
    }
    Ok((form, bytes))
}

/// Compresses.
pub(super) fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Writing into memory cannot fail; if it did, an empty payload would be read as no row, not as another one.
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// The opposite. The checksum has held, so that only another hand's work fails here.
pub(super) fn unpacked(packed: &[u8]) -> Result<Vec<u8>, BackupError> {
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed).take(LARGEST).read_to_end(&mut bytes).map_err(|_| BackupError::Damaged)?;
    Ok(bytes)
}
