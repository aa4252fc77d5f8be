//! Sealing bytes with a key, bound to whom they belong.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The key that seals backups. It is never shown.
#[derive(Clone)]
pub struct BackupKey {
    key: [u8; 32],
}

/// The text is no key: a key is 32 bytes in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a backup key is 32 bytes in base64, such as `openssl rand -base64 32` prints")]
pub struct WrongKey;

const NONCE: usize = 24;

impl BackupKey {
    /// Reads a key.
    ///
    /// # Errors
    /// The text is no key.
    pub fn parse(text: &str) -> Result<Self, WrongKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| WrongKey)?;
        Ok(Self { key: bytes.try_into().map_err(|_| WrongKey)? })
    }

    /// The nonce is made from the content, so that the same row gives the same text and no chance is needed: equal
    /// backups of one record can be told to be equal, and nothing else.
    pub(super) fn seal(&self, owner: &[u8], content: &[u8]) -> Vec<u8> {
        let nonce = self.nonce(owner, content);
        // Only a content beyond 256 GiB is refused; an empty seal never opens.
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), Payload { msg: content, aad: owner });
        let mut out = nonce.to_vec();
        out.extend(sealed.unwrap_or_default());
        out
    }

    /// `None` when it was sealed with another key or for another owner, or has been changed.
    pub(super) fn open(&self, owner: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: owner }).ok()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derived(b"seal").into())
    }

    fn nonce(&self, owner: &[u8], content: &[u8]) -> [u8; NONCE] {
        let mut mac = mac(&self.derived(b"nonce"));
        mac.update(&(owner.len() as u64).to_le_bytes());
        mac.update(owner);
        mac.update(content);
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&full[..NONCE]);
        nonce
    }

    /// A key for one purpose each.
    fn derived(&self, purpose: &[u8]) -> [u8; 32] {
        let mut mac = mac(&self.key);
        mac.update(b"pagerow-backup 1 ");
        mac.update(purpose);
        mac.finalize().into_bytes().into()
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
    <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("a key of any length")
}

impl fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupKey(…)")
    }
}
